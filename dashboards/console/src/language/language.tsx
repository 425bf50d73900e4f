/** The language in force, kept in the browser; numbers, times and ages as that language writes them. */
import { createContext, use, useEffect, useMemo, useState, type ReactNode } from 'react';
import { en } from './en.ts';
import { zh, type Dictionary } from './zh.ts';

export type LanguageCode = 'zh' | 'en';

export interface Language {
  code: LanguageCode;
  text: Dictionary;
  toggle(): void;
  number(value: number, digits?: number): string;
  time(at: number): string;
  /** How long ago, coarsely; `now` is the server's time where it is known. */
  age(at: number, now: number): string;
}

const KEY = 'waystation-language';
const LanguageContext = createContext<Language | null>(null);

export function languageOf(code: LanguageCode, toggle: () => void): Language {
  const tag = code === 'zh' ? 'zh-CN' : 'en';
  const text = code === 'zh' ? zh : en;
  const clock = new Intl.DateTimeFormat(tag, {
    timeZone: 'Asia/Shanghai',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hour12: false,
  });
  return {
    code,
    text,
    toggle,
    number: (value, digits = 0) =>
      new Intl.NumberFormat(tag, { maximumFractionDigits: digits }).format(value),
    time: (at) => clock.format(at),
    age(at, now) {
      const minutes = Math.floor((now - at) / 60_000);
      if (minutes < 1) return text.ago.now;
      if (minutes < 60) return text.ago.minutes(minutes);
      if (minutes < 48 * 60) return text.ago.hours(Math.floor(minutes / 60));
      return text.ago.days(Math.floor(minutes / 1440));
    },
  };
}

export function LanguageProvider({ children }: { children: ReactNode }) {
  const [code, setCode] = useState<LanguageCode>(() =>
    localStorage.getItem(KEY) === 'en' ? 'en' : 'zh',
  );
  const value = useMemo(
    () =>
      languageOf(code, () => {
        const other = code === 'zh' ? 'en' : 'zh';
        localStorage.setItem(KEY, other);
        setCode(other);
      }),
    [code],
  );
  useEffect(() => {
    document.documentElement.lang = code === 'zh' ? 'zh-CN' : 'en';
  }, [code]);
  return <LanguageContext value={value}>{children}</LanguageContext>;
}

export function useLanguage(): Language {
  const value = use(LanguageContext);
  if (!value) throw new Error('useLanguage outside its provider');
  return value;
}
