export const locales = ['en', 'zh-CN'] as const
export type Locale = (typeof locales)[number]

/** What each language calls itself. */
export const localeNames: Record<Locale, string> = { en: 'English', 'zh-CN': '简体中文' }

const key = 'mediad.locale'

/** The viewer's earlier choice, else the first of the browser's languages that we speak, else English. */
export function preferredLocale(languages: readonly string[] = navigator.languages): Locale {
  try {
    const stored = localStorage.getItem(key)
    if (isLocale(stored)) return stored
  } catch {
    // Closed storage: the browser's languages decide.
  }
  for (const language of languages) {
    if (/^zh\b/i.test(language)) return 'zh-CN'
    if (/^en\b/i.test(language)) return 'en'
  }
  return 'en'
}

export function rememberLocale(locale: Locale): void {
  try {
    localStorage.setItem(key, locale)
  } catch {
    // The choice lasts until the page is closed, then.
  }
}

function isLocale(value: unknown): value is Locale {
  return locales.includes(value as Locale)
}
