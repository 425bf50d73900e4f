/** An address that leads nowhere. */
import { Text, Title } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useLanguage } from '../language/language.tsx';

export function Gone() {
  const { text } = useLanguage();
  return (
    <main className="page">
      <Title order={1} size="h2">
        {text.gone}
      </Title>
      <Text>{text.gone_next}</Text>
      <Link to="/">{text.back}</Link>
    </main>
  );
}
