import { fileURLToPath } from 'node:url'
import tailwindcss from '@tailwindcss/vite'
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'

const path = (p: string) => fileURLToPath(new URL(p, import.meta.url))

// The origin that `npm run dev` forwards media and API calls to.
const origin = process.env.MEDIAD_URL ?? 'http://127.0.0.1:8080'

export default defineConfig({
  plugins: [vue(), tailwindcss()],
  resolve: { alias: { '@': path('./src') } },
  define: {
    __VUE_OPTIONS_API__: false,
    __VUE_PROD_DEVTOOLS__: false,
    __VUE_I18N_FULL_INSTALL__: false,
    __VUE_I18N_LEGACY_API__: false,
    __INTLIFY_PROD_DEVTOOLS__: false,
  },
  build: {
    target: 'es2022',
    // The Go handler reads it to name a page's scripts in Link headers, before the page itself is parsed.
    manifest: 'manifest.json',
    modulePreload: { polyfill: false },
    rollupOptions: { input: { main: path('./index.html'), embed: path('./embed.html') } },
  },
  server: {
    proxy: { '/api': origin, '/live': origin },
  },
  test: {
    environment: 'node', // files that need a page say so at their top
    include: ['src/**/*.test.ts'],
    restoreMocks: true,
  },
})
