/** Which software this is, as the station tells it in its birth and its snapshots. */
export const SOFTWARE = 'edge 0.1.0';

/** No clock that shows an earlier time can be right: nobody ran this software then. */
export const RELEASED_AT_MS = Date.UTC(2026, 0, 1);
