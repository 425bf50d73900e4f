/**
 * How a request at the door ends, as closed lists, with one kind sentence each.
 * Vocabulary: BACnet (ASHRAE 135) access events and denial reasons, Matter Door Lock OperationError, where they apply.
 */

export interface Sentence {
  zh: string;
  en: string;
}

export const OUTCOMES = ['granted', 'denied'] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** By what right or means the door was asked to open. */
export const METHODS = [
  'card',
  'shortCode',
  'plastic',
  'spokenCode',
  'remote',
  'guest',
  'crew',
  'egress',
] as const;
export type AccessMethod = (typeof METHODS)[number];

/**
 * Why not. `coarse` groups what the display tells apart: a stranger learns no more than he needs.
 * Order is the verifier's order: cheap reasons before dear ones.
 */
export const DENIALS = {
  unreadable: {
    coarse: 'rescan',
    zh: '没看清，请把手机放平再扫一次。',
    en: 'Could not read it. Please hold the phone flat and scan again.',
  },
  notOurCode: {
    coarse: 'wrongCode',
    zh: '这不是会员码，请打开电子会员卡。',
    en: 'This is not a member code. Please open the e-member card.',
  },
  malformed: {
    coarse: 'rescan',
    zh: '二维码不完整，请刷新后再扫。',
    en: 'The code is incomplete. Please refresh it and scan again.',
  },
  unknownIssuer: {
    coarse: 'help',
    zh: '暂时认不出这张卡，请按门铃，12351帮您开门。',
    en: 'This card is not known here yet. Press the bell: 12351 opens for you.',
  },
  cardExpired: {
    coarse: 'renew',
    zh: '会员卡需要联网更新一次。没网也别急，按门铃就行。',
    en: 'The card needs one renewal online. No network? Press the bell.',
  },
  cardNotYetValid: {
    coarse: 'clock',
    zh: '手机时间好像不准，请打开自动校时。',
    en: 'The phone clock seems wrong. Please switch on automatic time.',
  },
  presentationStale: {
    coarse: 'refresh',
    zh: '码已更新，请再扫一次。',
    en: 'The code has been renewed. Please scan again.',
  },
  presentationFuture: {
    coarse: 'clock',
    zh: '手机时间好像不准，请打开自动校时。',
    en: 'The phone clock seems wrong. Please switch on automatic time.',
  },
  wrongStation: {
    coarse: 'refresh',
    zh: '这个码是给别的站点的，请刷新。',
    en: 'This code is for another station. Please refresh it.',
  },
  issuedBeforeCut: {
    coarse: 'renew',
    zh: '会员卡需要联网更新一次。没网也别急，按门铃就行。',
    en: 'The card needs one renewal online. No network? Press the bell.',
  },
  revoked: {
    coarse: 'help',
    zh: '这张卡已停用，请按门铃，12351帮您开门。',
    en: 'This card is no longer in use. Press the bell: 12351 opens for you.',
  },
  badHolderSignature: {
    coarse: 'refresh',
    zh: '请刷新二维码再扫一次。',
    en: 'Please refresh the code and scan again.',
  },
  badIssuerSignature: {
    coarse: 'help',
    zh: '暂时认不出这张卡，请按门铃，12351帮您开门。',
    en: 'This card is not known here. Press the bell: 12351 opens for you.',
  },
  replayed: {
    coarse: 'refresh',
    zh: '码已用过，请等它刷新再扫。',
    en: 'This code was used already. Please wait until it refreshes.',
  },
  noRight: {
    coarse: 'noRight',
    zh: '这间屋子暂不对这张卡开放，请按门铃问一问。',
    en: 'This room is not open to this card. Press the bell to ask.',
  },
  closed: {
    coarse: 'closed',
    zh: '现在不在开放时间，急用请按门铃。',
    en: 'Outside opening hours. If it is urgent, press the bell.',
  },
  occupied: {
    coarse: 'occupied',
    zh: '妈妈小屋使用中，请稍候。',
    en: "The mom's room is in use. Please wait a little.",
  },
  lockdown: {
    coarse: 'closed',
    zh: '本站暂停开放，请到附近站点。',
    en: 'This station is closed for now. Please use one nearby.',
  },
  maintenance: {
    coarse: 'closed',
    zh: '本站检修中，很快恢复。',
    en: 'Maintenance is under way; back soon.',
  },
  clockUnknown: {
    coarse: 'help',
    zh: '本站时间未校准，请按门铃，12351帮您开门。',
    en: 'The station clock is not set. Press the bell: 12351 opens for you.',
  },
  trustMissing: {
    coarse: 'help',
    zh: '本站还没有准备好，请按门铃，12351帮您开门。',
    en: 'This station is not ready yet. Press the bell: 12351 opens for you.',
  },
  rateLimited: {
    coarse: 'wait',
    zh: '请稍等半分钟再试。',
    en: 'Please wait half a minute and try again.',
  },
  journalUnavailable: {
    coarse: 'help',
    zh: '本站暂时不能自动开门，请按门铃，12351帮您开门。',
    en: 'The door cannot open by itself now. Press the bell: 12351 opens for you.',
  },
  lockFault: {
    coarse: 'help',
    zh: '门锁没有动作，已通知维修。请按门铃。',
    en: 'The lock did not move; the crew is told. Please press the bell.',
  },
} as const satisfies Record<string, Sentence & { coarse: string }>;

export type Denial = keyof typeof DENIALS;
export const DENIAL_NAMES = Object.keys(DENIALS) as [Denial, ...Denial[]];

export const WELCOME: Sentence = { zh: '门已开，请进。', en: 'The door is open. Please come in.' };

/** Rights on a card are bit numbers; their meaning is known here and never printed in the code. */
export const RIGHTS = { hall: 0, night: 1, momsRoom: 2, staff: 3 } as const;
export type Right = keyof typeof RIGHTS;

export function hasRight(rights: number, right: Right): boolean {
  return ((rights >>> RIGHTS[right]) & 1) === 1;
}
