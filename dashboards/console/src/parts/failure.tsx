/** What a person sees when something could not be read: what, why if known, and one way on. */
import { Alert, Button, Group, Text } from '@mantine/core';
import { useLanguage } from '../language/language.tsx';
import { sayProblem } from '../language/sayings.ts';

export function Failure({ error, retry }: { error: unknown; retry: () => void }) {
  const language = useLanguage();
  const { text } = language;
  return (
    <Alert color="orange" title={text.failed} role="alert">
      <Group justify="space-between">
        <Text size="sm">{sayProblem(error, language)}</Text>
        <Button size="xs" variant="default" onClick={retry}>
          {text.retry}
        </Button>
      </Group>
    </Alert>
  );
}
