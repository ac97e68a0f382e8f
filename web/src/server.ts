// Which server this is: asked once. Only Silex is asked for what Prometheus has not (a 404 would be an error in the console).
import { api } from './api';

export interface Build { version: string; silexVersion?: string; revision?: string }

let asked: Promise<Build> | null = null;

export function build(): Promise<Build> {
  asked ??= api.get<Build>('api/v1/status/buildinfo').then((a) => a.data, () => {
    asked = null; // not reachable now: ask again later
    return { version: '' };
  });
  return asked;
}

export const isSilex = async () => (await build()).silexVersion !== undefined;
