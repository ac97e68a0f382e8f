// What this browser remembers: theme, time zone, tenant, name (localStorage) and token (sessionStorage: it ends with the tab).

export type Theme = 'auto' | 'light' | 'dark';

interface Settings { theme: Theme; utc: boolean; tenant: string; token: string; author: string }

function stored(area: Storage, key: string): string {
  try {
    return area.getItem(`silex.${key}`) ?? '';
  } catch {
    return ''; // storage is switched off: nothing is remembered
  }
}

export const settings: Settings = {
  theme: (stored(localStorage, 'theme') || 'auto') as Theme,
  utc: stored(localStorage, 'utc') === '1',
  tenant: stored(localStorage, 'tenant'),
  token: stored(sessionStorage, 'token'),
  author: stored(localStorage, 'author'), // of silences and acknowledgements
};

const listeners = new Set<(changed: keyof Settings) => void>();

export function onSettings(f: (changed: keyof Settings) => void): void {
  listeners.add(f);
}

export function setSetting<K extends keyof Settings>(key: K, value: Settings[K]): void {
  if (settings[key] === value) return;
  settings[key] = value;
  try {
    (key === 'token' ? sessionStorage : localStorage).setItem(`silex.${key}`, key === 'utc' ? (value ? '1' : '') : String(value));
  } catch { /* not remembered */ }
  if (key === 'theme') applyTheme();
  listeners.forEach((f) => f(key));
}

const darkSystem = matchMedia('(prefers-color-scheme: dark)');

export function isDark(): boolean {
  return settings.theme === 'dark' || (settings.theme === 'auto' && darkSystem.matches);
}

export function applyTheme(): void {
  document.documentElement.dataset.theme = isDark() ? 'dark' : 'light';
}

darkSystem.addEventListener('change', () => {
  applyTheme();
  if (settings.theme === 'auto') listeners.forEach((f) => f('theme'));
});
