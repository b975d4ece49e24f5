import { nextTick } from 'vue'
import { createI18n } from 'vue-i18n'
import { compile } from './compile'
import en from './en'
import { type Locale, preferredLocale, rememberLocale } from './locale'

export const i18n = createI18n({
  legacy: false,
  locale: 'en' as Locale,
  fallbackLocale: 'en',
  messageCompiler: compile as never, // of all its forms ours are texts
  messages: { en } as Record<Locale, typeof en>,
})

/** Messages that come with the pages that show them. */
export const features = [
  'forms',
  'auth',
  'profile',
  'settings',
  'studio',
  'library',
  'admin',
  'moderation',
] as const
export type Feature = (typeof features)[number]

type Messages = { default: Record<string, unknown> }
const files = import.meta.glob<Messages>(
  './{en,zh-CN}/{forms,auth,profile,settings,studio,library,admin,moderation}.json',
)
/** What has been asked for: it has to be there in the next language, too. */
const open = new Set<Feature>()
const loaded = new Set<string>()

/** Brings the messages of pages that are about to be shown. */
export async function loadMessages(
  wanted: readonly Feature[],
  locale = i18n.global.locale.value,
): Promise<void> {
  await Promise.all(
    wanted.map(async (feature) => {
      open.add(feature)
      const file = `./${locale}/${feature}.json`
      if (loaded.has(file)) return
      const messages = (await files[file]?.())?.default
      loaded.add(file)
      i18n.global.mergeLocaleMessage(locale, { [feature]: messages })
    }),
  )
}

/** The viewer's choice: shown now and remembered. */
export async function chooseLocale(locale: Locale): Promise<void> {
  rememberLocale(locale)
  await showLocale(locale)
}

/** Brings a language in and shows the page in it. */
async function showLocale(locale: Locale): Promise<void> {
  if (locale === 'zh-CN' && !i18n.global.availableLocales.includes(locale)) {
    i18n.global.setLocaleMessage(locale, (await import('./zh-CN')).default)
  }
  await loadMessages([...open], locale)
  i18n.global.locale.value = locale
  document.documentElement.lang = locale
  await nextTick()
}

export async function startI18n(): Promise<void> {
  const locale = preferredLocale()
  document.documentElement.lang = locale
  if (locale !== 'en') await showLocale(locale)
}
