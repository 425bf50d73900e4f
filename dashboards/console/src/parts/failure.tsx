/** What a person sees when something could not be read: what, why if known, and one way on. */
import { Alert, Button, Group, Text } from '@mantine/core';
import { ApiError } from '../api.ts';
import { useLanguage } from '../language/language.tsx';

export function Failure({ error, retry }: { error: unknown; retry: () => void }) {
  const { text } = useLanguage();
  const reason =
    error instanceof ApiError
      ? error.status === 0
        ? text.network
        : error.problem.message
      : String(error);
  return (
    <Alert color="orange" title={text.failed} role="alert">
      <Group justify="space-between">
        <Text size="sm">{reason}</Text>
        <Button size="xs" variant="default" onClick={retry}>
          {text.retry}
        </Button>
      </Group>
    </Alert>
  );
}
