/** `npm run influx-wal -- DIR`: after a full disk, cuts the torn tails off the write-ahead log of a stopped InfluxDB 1.x. */
import { Fault, isFault } from '@waystation/runtime/fault';
import { callersPath } from './local/flags.ts';
import { cutTornTails } from './local/influx-wal.ts';

const USAGE = `npm run influx-wal -- DIR
  DIR   the wal-dir of an InfluxDB 1.x whose disk was full (/var/lib/influxdb/wal)

Free space and stop influxd first, start it afterwards: what it appends behind a torn entry is lost at its next start.
Prints one line of JSON for each segment: {file, bytes_kept, bytes_cut}.
What is cut stays beside its segment in a file that ends in .cut-at-BYTES; influxd does not read it.
`;

function main(argv: readonly string[]): void {
  if (argv.includes('--help')) return console.log(USAGE);
  const [directory, ...more] = argv;
  if (directory === undefined || directory.startsWith('-') || more.length > 0)
    throw new Fault('USAGE', { problem: 'it takes one directory' });
  for (const segment of cutTornTails(callersPath(directory))) console.log(JSON.stringify(segment));
}

try {
  main(process.argv.slice(2));
} catch (error) {
  console.error(isFault(error) ? `${error.message}\n${error.operator}` : error);
  process.exitCode = 1;
}
