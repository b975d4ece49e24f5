import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import tailwindcss from '@tailwindcss/vite'
import vue from '@vitejs/plugin-vue'
import type { Plugin } from 'vite'
import { defineConfig } from 'vitest/config'

const path = (p: string) => fileURLToPath(new URL(p, import.meta.url))

/** File names of the icons that the sources of some folders and files import. */
function iconsOf(...places: string[]): Set<string> {
  const files = places.flatMap((place) =>
    place.endsWith('.vue')
      ? [path(place)]
      : readdirSync(path(place), { recursive: true, encoding: 'utf8' })
          .filter((file) => file.endsWith('.vue'))
          .map((file) => join(path(place), file)),
  )
  const imports = files.flatMap((file) => [
    ...readFileSync(file, 'utf8').matchAll(/^import \{([^}]*)\} from '@lucide\/vue'/gm),
  ])
  const names = new Set(
    imports.flatMap(([, list = '']) => list.split(',').map((one) => one.trim().split(' ')[0] ?? '')),
  )
  // An icon has several names, and its file one of them.
  const index = readFileSync(path('./node_modules/@lucide/vue/dist/esm/lucide-vue.mjs'), 'utf8')
  const exports = index.matchAll(/^export \{([^}]*)\} from '\.\/icons\/([\w-]+)\.mjs'/gm)
  return new Set(
    [...exports].flatMap(([, list = '', file = '']) =>
      list.split(',').some((one) => names.has(one.trim().split(' ').at(-1) ?? '')) ? [file] : [],
    ),
  )
}

// What the first page shows; and what the player has in common with other pages: these must not load the player for an icon.
const playerIcons = iconsOf('./src/player')
const firstIcons = new Set([
  ...iconsOf('./src/app/AppHeader.vue', './src/features/home', './src/ui/CopyField.vue'),
  ...[...iconsOf('./src/app', './src/features', './src/ui', './src/embed')].filter((file) =>
    playerIcons.has(file),
  ),
])
const isFirstIcon = (id: string) => firstIcons.has(/@lucide\/.*\/icons\/([\w-]+)\.\w+$/.exec(id)?.[1] ?? '')

const baseModules =
  /node_modules\/(vue|@vue|vue-i18n|@intlify|@vueuse)\/|src\/(i18n\/(en\/(index|common|home|notfound)\.|[a-z]+\.ts)|lib\/|ui\/(BrandMark|CopyField|SignalArt))|plugin-vue/

/** What the page does not use of axios: it sends by fetch alone, and compares no status with a name. */
function slimAxios(): Plugin {
  const none = '\0none-of-axios'
  return {
    name: 'slim-axios',
    enforce: 'pre',
    resolveId: (source, importer) =>
      importer?.includes('/axios/lib/') && /\/(xhr|HttpStatusCode)\.js$/.test(source) ? none : null,
    load: (id) => (id === none ? 'export default null' : null),
  }
}

// The origin that `npm run dev` forwards media and API calls to.
const origin = process.env.MEDIAD_URL ?? 'http://127.0.0.1:8080'

export default defineConfig({
  plugins: [vue(), tailwindcss(), slimAxios()],
  resolve: { alias: { '@': path('./src') } },
  define: {
    __VUE_OPTIONS_API__: false,
    __VUE_PROD_DEVTOOLS__: false,
    __VUE_I18N_FULL_INSTALL__: false,
    __VUE_I18N_LEGACY_API__: false,
    __INTLIFY_PROD_DEVTOOLS__: false,
    // src/i18n/compile.ts does it, for the little that our messages need. Tests compare the two.
    ...(process.env.VITEST ? {} : { __INTLIFY_DROP_MESSAGE_COMPILER__: true }),
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
              test: (id) => baseModules.test(id) || isFirstIcon(id),
            },
            {
              name: 'site',
              priority: 2,
              test: /node_modules\/(vue-router|pinia|axios)\/|src\/(app\/(guards|router|session|settings|site|theme)\.ts|api\/(client|me|site|streams|tokens|videos)\.ts|features\/home\/(components\/(?!NewestReplays)|composables\/(?!useVideos)))/,
            },
            {
              name: 'player',
              priority: 2,
              test: /node_modules\/hls\.js\/|src\/player\/(?!shell\/shell\.ts|engines\/whep\/)/,
            },
            // What the pages of streams and of videos have in common, so that it is one file.
            {
              name: 'watching',
              priority: 1,
              test: /src\/(i18n\/en\/(watch|video)\.|features\/(watch|video)\/messages|api\/users)|icons\/(share-2|clock|download)\./,
            },
            // What the pages for accounts are made of: they would be many small files.
            { name: 'parts', priority: 1, test: /src\/ui\/(?!UserAvatar)/, minShareCount: 2 },
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
