/** Names and addresses as such stations really carry them: a place, the host that lends the room, and the kind. */
import type { StationKind } from '@waystation/protocol/station-code';

/** `{}` stands for the township. The hosts are those that union reports name most often. */
const HOSTS: Record<StationKind, readonly string[]> = {
  W: [
    '中国邮政{}营业所',
    '工商银行{}支行',
    '农业银行{}支行',
    '建设银行{}支行',
    '农商银行{}支行',
    '{}党群服务中心',
    '{}便民服务中心',
    '中国石化{}加油站',
    '{}环卫所',
    '{}人民公园',
    '国家电网{}供电所',
    '{}综合文化站',
    '{}社区卫生服务中心',
    '中国移动{}营业厅',
    '{}农贸市场',
    '{}客运站',
    '{}快递物流园',
    '{}城市书房',
    '{}口袋公园',
    '{}职工活动中心',
  ],
  M: [
    '{}社区卫生服务中心',
    '{}妇幼保健站',
    '{}便民服务中心',
    '{}党群服务中心',
    '{}购物中心',
    '{}产业园',
    '{}中心幼儿园',
    '{}城市书房',
    '{}人民公园',
    '{}客运站',
    '{}职工活动中心',
    '{}综合文化站',
    '{}纺织服装厂',
    '{}电子厂',
    '{}政务大厅',
    '{}医院',
    '{}物流园',
    '{}儿童乐园',
  ],
};
const ENDINGS: Record<StationKind, readonly string[]> = {
  W: ['工会驿站', '户外劳动者驿站'],
  M: ['妈妈小屋'],
};
const ROADS = [
  '建设路',
  '人民路',
  '解放路',
  '文化路',
  '健康路',
  '工业路',
  '振兴街',
  '府前街',
  '和平路',
  '光明路',
  '新华路',
  '青年路',
  '胜利街',
  '育才路',
  '中心街',
  '商贸街',
];

function pick<T>(list: readonly T[], position: number): T {
  const item = list[position % list.length];
  if (item === undefined) throw new RangeError('an empty list');
  return item;
}

/** 古槐街道 is spoken of as 古槐; a zone's office keeps its whole name. */
function shortName(township: string): string {
  const short = township.replace(/(街道|镇|乡)$/, '');
  return short.length >= 2 ? short : township;
}

/** Which of a township's stations: `ordinal` counts from 0 by kind, `first_host` varies what comes first. */
interface Place {
  ordinal: number;
  first_host: number;
}

/** Two stations of one township and kind never carry the same name. */
export function stationName(
  township: string,
  kind: StationKind,
  { ordinal, first_host }: Place,
  random: () => number,
): string {
  const hosts = HOSTS[kind];
  const round = Math.floor(ordinal / hosts.length);
  const host = pick(hosts, first_host + ordinal).replace('{}', shortName(township));
  const ending = pick(ENDINGS[kind], Math.floor(random() * ENDINGS[kind].length));
  return `${host}${ending}${round === 0 ? '' : `（${round + 1}号）`}`;
}

export function stationAddress(places: readonly string[], random: () => number): string {
  const road = pick(ROADS, Math.floor(random() * ROADS.length));
  return `${places.join('')}${road}${1 + Math.floor(random() * 288)}号`;
}
