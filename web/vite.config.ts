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
    rolldownOptions: {
      input: { main: path('./index.html'), embed: path('./embed.html') },
      output: {
        // Few files: over HTTP/1.1 a browser fetches six at a time, and the first picture waits for the last one.
        codeSplitting: {
          groups: [
            {
              name: 'base',
              priority: 3,
              test: /node_modules\/(vue|@vue|vue-i18n|@intlify|@vueuse|@lucide)\/|src\/(i18n\/(en\/(index|common|home|watch|video|player|notfound)\.|[a-z]+\.ts)|lib\/|ui\/(BrandMark|CopyField|SignalArt|UserAvatar))|plugin-vue/,
            },
            {
              name: 'site',
              priority: 2,
              test: /node_modules\/(vue-router|pinia|axios)\/|src\/(app\/(guards|router|session|settings|site|theme)\.ts|api\/(account|auth|client|site|streams|tokens|videos)\.ts|features\/(home\/(components|composables)|video\/components\/VideoCard))/,
            },
            {
              name: 'player',
              priority: 2,
              test: /node_modules\/hls\.js\/|src\/player\/(?!shell\/shell\.ts|engines\/whep\/)/,
            },
            // Comes after the first picture: it is what surrounds the player, not the player.
            {
              name: 'shell',
              priority: 1,
              test: /node_modules\/(video\.js|@videojs)\/|src\/player\/shell\/shell\.ts/,
            },
          ],
        },
      },
    },
  },
  server: {
    proxy: {
      '/api': origin,
      '/live': origin,
      '/vod': origin,
      '/whep': origin,
      '/t/': origin,
      '/pictures': origin,
      '/exports': origin,
    },
  },
  test: {
    environment: 'node', // files that need a page say so at their top
    include: ['src/**/*.test.ts'],
    restoreMocks: true,
  },
})
