/** Nominal types without run-time cost: a station code is not just any string. */
export type Brand<T, B extends string> = T & { readonly __brand: B };
