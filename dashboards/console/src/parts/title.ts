/** The page's name on its browser tab. */
import { useEffect } from 'react';
import { useLanguage } from '../language/language.tsx';

export function useTitle(name: string | undefined): void {
  const { text } = useLanguage();
  useEffect(() => {
    document.title = name === undefined ? text.product : `${name} · ${text.product}`;
  }, [name, text]);
}
