/** Writes docs/faults.md from the table in runtime/fault.ts; runtime/fault.test.ts holds the two together. */
import { writeFileSync } from 'node:fs';
import { FAULTS } from '@waystation/runtime/fault';

const rows = Object.entries(FAULTS).map(
  ([code, fault]) => `| \`${code}\` | ${fault.retry ? 'yes' : 'no'} | ${fault.operator} |`,
);
const page = [
  '# Faults',
  '',
  'Every expected failure has a code. *Retry* says whether the same call may succeed later without anybody doing anything.',
  '',
  '| code | retry | the next step |',
  '|---|---|---|',
  ...rows,
  '',
];
writeFileSync(new URL('../docs/faults.md', import.meta.url), page.join('\n'));
