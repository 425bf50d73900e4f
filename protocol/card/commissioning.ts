/**
 * The installer's test code: a printed QR with every character, double spaces and the length of a real member code.
 * What the reader delivers is compared exactly, and the difference names the setting that is wrong.
 */
import type { Sentence } from '../access.ts';
import { BASE45_ALPHABET } from './base45.ts';

export const COMMISSIONING_PREFIX = 'WST:';
/** A little longer than the longest member code (one with a station's name in it). */
const LENGTH = 400;
/** All 45 characters in order and in reverse, spaces alone and in pairs between them. */
const PATTERN = `${BASE45_ALPHABET}A  B${Array.from(BASE45_ALPHABET).reverse().join('')}  0 Z  `;

/** The whole line of the test code; print it as an alphanumeric QR code. */
export const COMMISSIONING_LINE = `${COMMISSIONING_PREFIX}${PATTERN.repeat(5)}`
  .slice(0, LENGTH - 1)
  .concat('.');

/** What is wrong with the reader, and what to set. */
export const READER_PROBLEMS = {
  prefixAdded: {
    zh: '扫码头在内容前加了字符：请关闭前缀、AIM 标识和条码类型标识。',
    en: 'The reader puts characters before the content: switch off prefix, AIM identifier and code identifier.',
  },
  suffixAdded: {
    zh: '扫码头在内容后加了字符：结束符只用回车或换行，关闭其它后缀。',
    en: 'The reader puts characters after the content: end lines with CR or LF only, no other suffix.',
  },
  truncated: {
    zh: '内容被截断：请把最大长度设为 640，并检查串口流控。',
    en: 'The content is cut short: set the greatest length to 640 and check flow control of the line.',
  },
  caseChanged: {
    zh: '大小写被转换：请关闭大小写转换和大写锁定。',
    en: 'Upper and lower case are changed: switch off case conversion and caps lock.',
  },
  spacesCollapsed: {
    zh: '连续空格被合并：请关闭空格处理。',
    en: 'Runs of spaces are made one: switch off the treatment of spaces.',
  },
  spacesLost: {
    zh: '空格被删除：请关闭空格处理。',
    en: 'Spaces are removed: switch off the treatment of spaces.',
  },
  charactersChanged: {
    zh: '有字符被替换：请选择串口模式、ASCII 编码和美式键盘布局。',
    en: 'Characters are replaced: choose serial mode, ASCII encoding and the US keyboard layout.',
  },
} as const satisfies Record<string, Sentence>;
export type ReaderProblem = keyof typeof READER_PROBLEMS;

export const READER_FIT: Sentence = {
  zh: '扫码头设置正确。',
  en: 'The reader is set up correctly.',
};

/** `at`: the first character that differs, from 0. */
export type Commissioning = { fit: true } | { fit: false; problem: ReaderProblem; at: number };

/** `null` when the line is no test code at all, however damaged. Takes the bytes between line ends, untrimmed. */
export function judgeCommissioning(line: Uint8Array): Commissioning | null {
  const text = Array.from(line.subarray(0, 2 * LENGTH), (byte) => String.fromCharCode(byte)).join(
    '',
  );
  if (text === COMMISSIONING_LINE) return { fit: true };
  const start = text.slice(0, COMMISSIONING_PREFIX.length + 12).toUpperCase();
  if (!start.includes(COMMISSIONING_PREFIX)) return null;
  return { fit: false, problem: problemOf(text), at: firstDifference(text) };
}

function problemOf(text: string): ReaderProblem {
  const expected = COMMISSIONING_LINE;
  if (text.startsWith(expected)) return 'suffixAdded';
  if (text.endsWith(expected)) return 'prefixAdded';
  if (expected.startsWith(text)) return 'truncated';
  if (text.toUpperCase() === expected) return 'caseChanged';
  if (text === expected.replaceAll(/ +/g, ' ')) return 'spacesCollapsed';
  if (text.replaceAll(' ', '') === expected.replaceAll(' ', '')) return 'spacesLost';
  return 'charactersChanged';
}

function firstDifference(text: string): number {
  let at = 0;
  while (at < text.length && text[at] === COMMISSIONING_LINE[at]) at += 1;
  return at;
}
