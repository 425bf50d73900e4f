import { expect, test } from 'vitest';
import type { EventLine } from '@waystation/protocol/api';
import { ApiError } from '../api.ts';
import { languageOf } from './language.tsx';
import { sayCommand, sayEvent, sayProblem } from './sayings.ts';

const zh = languageOf('zh', () => {});
const en = languageOf('en', () => {});

function event(kind: string, summary: EventLine['summary']): EventLine {
  return {
    station: 's',
    epoch: 'e',
    seq: 1,
    kind,
    at: 1,
    received_at: 2,
    clock: 'synced',
    summary,
  };
}
const both = (line: EventLine) =>
  [zh, en].map((language) => {
    const { title, detail } = sayEvent(line, language);
    return `${title} ${detail}`.trim();
  });

test.each([
  ['access', { outcome: 'granted', method: 'card' }, '开门放行 会员卡', 'Let in Member card'],
  [
    'access',
    { outcome: 'denied', method: 'card', denial: 'occupied' },
    '未放行 会员卡 · 妈妈小屋使用中，请稍候。',
    "Not let in Member card · The mom's room is in use. Please wait a little.",
  ],
  [
    'door',
    { from: 'released', to: 'open', cause: 'opened' },
    '开着 有人推开了门',
    'Open pushed open',
  ],
  [
    'input',
    { input: 'mainsPresent', active: false },
    '市电断了，正用电池',
    'Mains power failed; on battery',
  ],
  [
    'input',
    { input: 'sosPressed', active: true },
    '有人按了求助按钮',
    'Somebody pressed the SOS button',
  ],
  [
    'device',
    { device: 'controller', online: false, reason: 'line closed' },
    '控制器 失联',
    'Controller Lost',
  ],
  [
    'device',
    { device: 'environment', online: true, reason: 'sensor co2_ppm gives no usable value' },
    '环境传感器 二氧化碳没有可用读数',
    'Environment sensor Carbon dioxide: no usable value',
  ],
  [
    'command',
    { status: 'failed', reason: 'LOCK_UNCONFIRMED on=true' },
    '远程指令 没有打开：门锁没有动作，请联系维修',
    'Remote command Not opened: the lock did not move, please call the crew',
  ],
  [
    'epoch',
    { reason: 'forked' },
    '新的记录簿 发现两份不一样的记录',
    'New journal two differing copies were found',
  ],
  [
    'trust',
    { key_set_version: 2, status_list_version: 7 },
    '更新密钥与名单 密钥第 2 版，名单第 7 版',
    'Keys and list updated keys version 2, list version 7',
  ],
])('%s %j is said in both languages', (kind, summary, chinese, english) => {
  expect(both(event(kind, summary as unknown as EventLine['summary']))).toEqual([chinese, english]);
});

test('what the dictionary does not know is shown as it came', () => {
  expect(both(event('comet', {}))).toEqual(['comet', 'comet']);
  expect(both(event('door', { to: 'ajar', cause: 'wind' }))).toEqual(['ajar wind', 'ajar wind']);
  expect(sayCommand({ status: 'failed', reason: 'sunspots' }, zh)).toBe('没有打开：sunspots');
});

test('a refusal says why, a lost line says so', () => {
  const problem = (status: number, code: string, message: string) =>
    new ApiError(status, { code, message, operator: '' });
  expect(sayProblem(problem(409, 'COMMAND_REFUSED', 'the station is offline'), zh)).toBe(
    '站点离线，现在不能远程开门。',
  );
  expect(sayProblem(problem(0, 'NETWORK', ''), en)).toMatch(/cannot be reached/);
  expect(sayProblem(problem(418, 'TEAPOT', 'short and stout'), zh)).toBe('short and stout');
});
