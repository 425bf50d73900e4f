/** Sign-in by account and password; the session is a cookie the page cannot read. */
import { Alert, Button, Paper, PasswordInput, Stack, TextInput, Title } from '@mantine/core';
import { useState, type FormEvent } from 'react';
import { api, ApiError } from '../api.ts';
import { useLanguage } from '../language/language.tsx';
import { sayProblem } from '../language/sayings.ts';

export function SignIn({ onSignedIn }: { onSignedIn: () => void }) {
  const language = useLanguage();
  const { text } = language;
  const [account, setAccount] = useState('');
  const [password, setPassword] = useState('');
  const [refusal, setRefusal] = useState<string | null>(null);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    try {
      await api.signIn(account, password);
      onSignedIn();
    } catch (error) {
      setRefusal(
        error instanceof ApiError && error.status === 401
          ? text.sign_in_wrong
          : sayProblem(error, language),
      );
    }
  };
  return (
    <main className="sign-in">
      <Paper withBorder p="xl" component="form" onSubmit={(event: FormEvent) => void submit(event)}>
        <Stack>
          <div className="sign-in-name">
            <img src="/icon.svg" alt="" width={40} height={40} />
            <Title order={1} size="h3">
              {text.product_long}
            </Title>
          </div>
          <TextInput
            label={text.account}
            value={account}
            onChange={(event) => setAccount(event.currentTarget.value)}
            autoComplete="username"
            required
          />
          <PasswordInput
            label={text.password}
            value={password}
            onChange={(event) => setPassword(event.currentTarget.value)}
            autoComplete="current-password"
            required
          />
          {refusal && (
            <Alert color="orange" role="alert">
              {refusal}
            </Alert>
          )}
          <Button type="submit">{text.sign_in}</Button>
        </Stack>
      </Paper>
    </main>
  );
}
