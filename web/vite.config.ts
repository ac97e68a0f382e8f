import { defineConfig } from 'vite';

// `npm run dev` shows the page from the sources, with the API of the server that SILEX_URL names.
const server = process.env.SILEX_URL ?? 'http://127.0.0.1:9470';

export default defineConfig({
  base: './', // the page works below any --route-prefix
  build: {
    target: 'es2021',
    modulePreload: false,
    assetsInlineLimit: 0, // the Content-Security-Policy has no data: for scripts, styles and fonts
    reportCompressedSize: false,
    rollupOptions: {
      output: {
        entryFileNames: 'assets/[name]-[hash].js',
        assetFileNames: 'assets/[name]-[hash][extname]',
        manualChunks: () => 'page', // one script: a second round trip costs more than it saves
      },
    },
  },
  server: { proxy: { '/api': { target: server, ws: true }, '/metrics': server, '/-': server } },
});
