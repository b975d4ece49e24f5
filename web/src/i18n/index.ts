import { nextTick } from 'vue'
import { createI18n } from 'vue-i18n'
import en from './en'
import { type Locale, preferredLocale, rememberLocale } from './locale'

export const i18n = createI18n({
  legacy: false,
  locale: 'en' as Locale,
  fallbackLocale: 'en',
  messages: { en } as Record<Locale, typeof en>,
})

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
  i18n.global.locale.value = locale
  document.documentElement.lang = locale
  await nextTick()
}

export async function startI18n(): Promise<void> {
  const locale = preferredLocale()
  document.documentElement.lang = locale
  if (locale !== 'en') await showLocale(locale)
}
