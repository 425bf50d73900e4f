/** The station that a first run shows: the launcher drives it on real pseudo-terminals, the tests open its door. */
import { stationCode } from '@waystation/protocol/station-code';

/** 370811011 is 古槐街道, 任城区, 济宁市. */
export const DEMO_STATION = stationCode('370811011', 'W', 1);
export const DEMO_STATION_NAME = '古槐街道工会驿站';
