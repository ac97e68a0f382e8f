// What the Monitor shows: queries with their limits, kept in the address and in this browser; and what a value means by them.

export interface Watch {
  query: string;
  title?: string;
  unit?: string;
  alarmLow?: number;
  warnLow?: number;
  warnHigh?: number;
  alarmHigh?: number;
  stale?: string; // a duration; absent: by the rhythm of the samples
}

export type Level = 'ok' | 'warn' | 'alarm' | 'stale';
export interface State { level: Level; word: string } // the word says it without colour

export const limits = ['alarmLow', 'warnLow', 'warnHigh', 'alarmHigh'] as const;

export function judge(w: Watch, value: number): State {
  if (w.alarmHigh !== undefined && value > w.alarmHigh) return { level: 'alarm', word: '▲▲ HIGH' };
  if (w.alarmLow !== undefined && value < w.alarmLow) return { level: 'alarm', word: '▼▼ LOW' };
  if (w.warnHigh !== undefined && value > w.warnHigh) return { level: 'warn', word: '▲ HIGH' };
  if (w.warnLow !== undefined && value < w.warnLow) return { level: 'warn', word: '▼ LOW' };
  return { level: 'ok', word: '' };
}

export function fromParams(params: URLSearchParams): Watch[] {
  return params.getAll('w').flatMap((text) => {
    try {
      const w = JSON.parse(text) as Watch;
      return typeof w.query === 'string' && w.query ? [w] : [];
    } catch {
      return [];
    }
  });
}

export const toParams = (wall: Watch[]) => new URLSearchParams(wall.map((w) => ['w', JSON.stringify(w)]));

export function remembered(): Watch[] {
  try {
    return JSON.parse(localStorage.getItem('silex.wall') ?? '[]') as Watch[];
  } catch {
    return [];
  }
}

export function remember(wall: Watch[]): void {
  try {
    localStorage.setItem('silex.wall', JSON.stringify(wall));
  } catch { /* not remembered */ }
}
