/** The console's entry: theme, language, queries, routes. */
import './mantine.css';
import './console.css';
import { createTheme, MantineProvider } from '@mantine/core';
import { QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { createRootRoute, createRoute, createRouter, RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { ApiError } from './api.ts';
import { LanguageProvider } from './language/language.tsx';
import { Gone } from './pages/gone.tsx';
import { Overview, type OverviewSearch } from './pages/overview.tsx';
import { Station } from './pages/station.tsx';
import { Shell } from './shell.tsx';
import { STATUSES } from './status.ts';

const root = createRootRoute({ component: Shell, notFoundComponent: Gone });

/** Whatever stands in the address, only known filters come in. */
function readSearch(raw: Record<string, unknown>): OverviewSearch {
  const status = STATUSES.find((one) => one === raw['status']);
  const word = (value: unknown) => (typeof value === 'string' ? value : '');
  const place = word(raw['place']);
  const search = word(raw['search']).slice(0, 60);
  return {
    ...(search === '' ? {} : { search }),
    ...(/^\d{2,9}$/.test(place) ? { place } : {}),
    ...(raw['kind'] === 'W' || raw['kind'] === 'M' ? { kind: raw['kind'] } : {}),
    ...(status ? { status } : {}),
  };
}

const overview = createRoute({
  getParentRoute: () => root,
  path: '/',
  component: Overview,
  validateSearch: readSearch,
});
const station = createRoute({
  getParentRoute: () => root,
  path: '/stations/$code',
  component: Station,
});
const router = createRouter({
  routeTree: root.addChildren([overview, station]),
  // Addresses that a person can read and type: ?place=3708, not ?place=%223708%22.
  parseSearch: (search) => Object.fromEntries(new URLSearchParams(search)),
  stringifySearch(search) {
    const words = Object.entries(search).filter(([, word]) => typeof word === 'string');
    return words.length === 0 ? '' : `?${new URLSearchParams(words)}`;
  },
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}

const theme = createTheme({
  primaryColor: 'blue',
  // White on the lighter blues is hard to read.
  primaryShade: 8,
  autoContrast: true,
  fontFamily:
    'system-ui, "PingFang SC", "HarmonyOS Sans SC", "MiSans", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif',
});
const queries: QueryClient = new QueryClient({
  // The session has ended: whoever notices first, the shell asks for a new sign-in.
  queryCache: new QueryCache({
    onError(error, query) {
      if (error instanceof ApiError && error.status === 401 && query.queryKey[0] !== 'session')
        void queries.invalidateQueries({ queryKey: ['session'] });
    },
  }),
  defaultOptions: {
    queries: {
      // What the service answered it will answer again; only a lost line is tried once more.
      retry: (count, error) => count < 1 && error instanceof ApiError && error.status === 0,
      refetchOnWindowFocus: true,
      staleTime: 5_000,
    },
  },
});

const element = document.getElementById('root');
if (element) {
  createRoot(element).render(
    <StrictMode>
      <MantineProvider theme={theme} defaultColorScheme="auto">
        <LanguageProvider>
          <QueryClientProvider client={queries}>
            <RouterProvider router={router} />
          </QueryClientProvider>
        </LanguageProvider>
      </MantineProvider>
    </StrictMode>,
  );
}
