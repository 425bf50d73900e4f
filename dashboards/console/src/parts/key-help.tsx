/** What the keyboard can do, shown by `?`. */
import { ActionIcon, Kbd } from '@mantine/core';
import { IconKeyboard } from '@tabler/icons-react';
import { useEffect, useState } from 'react';
import { useLanguage } from '../language/language.tsx';
import { Dialog } from './dialog.tsx';

/** Is somebody writing? Then a letter is a letter. */
export function isWriting(event: KeyboardEvent): boolean {
  const { target } = event;
  return (
    event.ctrlKey ||
    event.metaKey ||
    event.altKey ||
    (target instanceof HTMLElement && target.closest('input, textarea, [role=dialog]') !== null)
  );
}

export function KeyHelp() {
  const { text } = useLanguage();
  const [shown, setShown] = useState(false);
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.key === '?' && !isWriting(event)) setShown(true);
    };
    document.addEventListener('keydown', pressed);
    return () => document.removeEventListener('keydown', pressed);
  }, []);
  return (
    <>
      <ActionIcon
        variant="subtle"
        color="gray"
        size="lg"
        className="wide-only"
        aria-label={text.help}
        onClick={() => setShown(true)}
      >
        <IconKeyboard size={18} />
      </ActionIcon>
      <Dialog opened={shown} close={() => setShown(false)} title={text.help}>
        <dl className="keys">
          {text.help_keys.map(([key, what]) => (
            <div key={key}>
              <dt>
                <Kbd>{key}</Kbd>
              </dt>
              <dd>{what}</dd>
            </div>
          ))}
        </dl>
      </Dialog>
    </>
  );
}
