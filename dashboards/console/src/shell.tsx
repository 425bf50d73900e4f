/** What is on every page: the name, how current the data is, language, light or dark, who is signed in. */
import {
  ActionIcon,
  Button,
  Loader,
  useComputedColorScheme,
  useMantineColorScheme,
} from '@mantine/core';
import { IconMoon, IconSun } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, Outlet } from '@tanstack/react-router';
import { api, ApiError } from './api.ts';
import { useLanguage } from './language/language.tsx';
import { LiveProvider, useLive } from './live/live.tsx';
import { Failure } from './parts/failure.tsx';
import { KeyHelp } from './parts/key-help.tsx';
import { LiveBadge } from './parts/live-badge.tsx';
import { SignIn } from './pages/sign-in.tsx';

function SchemeButton() {
  const { text } = useLanguage();
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme('light');
  const other = scheme === 'dark' ? 'light' : 'dark';
  return (
    <ActionIcon
      variant="subtle"
      color="gray"
      size="lg"
      aria-label={other === 'dark' ? text.theme_dark : text.theme_light}
      onClick={() => setColorScheme(other)}
    >
      {other === 'dark' ? <IconMoon size={18} /> : <IconSun size={18} />}
    </ActionIcon>
  );
}

/** The demo's visitor has nothing to sign out of. */
const VISITOR = 'visitor';

function SignOut() {
  const { text } = useLanguage();
  const queries = useQueryClient();
  return (
    <Button
      variant="subtle"
      color="gray"
      size="compact-md"
      onClick={() => void api.signOut().then(() => queries.resetQueries())}
    >
      {text.sign_out}
    </Button>
  );
}

/** The service was renewed while this page stood open: its words may not fit any more. */
function NewVersion({ known }: { known: string }) {
  const { text } = useLanguage();
  const { service } = useLive();
  if (service === null || service === known) return null;
  return (
    <Button size="compact-sm" onClick={() => window.location.reload()}>
      {text.new_version}
    </Button>
  );
}

export function Shell() {
  const { text, toggle } = useLanguage();
  const queries = useQueryClient();
  const session = useQuery({
    queryKey: ['session'],
    queryFn: api.session,
    retry: false,
    staleTime: Infinity,
  });
  if (session.isPending) return <Loader className="middle" aria-label={text.loading} />;
  if (session.isError) {
    const signed_out = session.error instanceof ApiError && session.error.status === 401;
    if (signed_out) return <SignIn onSignedIn={() => void queries.resetQueries()} />;
    return (
      <main className="page">
        <Failure error={session.error} retry={() => void session.refetch()} />
      </main>
    );
  }
  return (
    <LiveProvider>
      <header className="shell">
        <Link to="/" className="shell-name">
          <img src="/icon.svg" alt="" width={24} height={24} />
          {text.product}
        </Link>
        <LiveBadge />
        <NewVersion known={session.data.version} />
        <span className="shell-space" />
        <span className="shell-who">{session.data.organisation_name}</span>
        {session.data.account !== VISITOR && <SignOut />}
        <KeyHelp />
        <Button
          variant="subtle"
          color="gray"
          size="compact-md"
          lang={text.language_other_tag}
          onClick={toggle}
        >
          {text.language_other}
        </Button>
        <SchemeButton />
      </header>
      <Outlet />
    </LiveProvider>
  );
}
