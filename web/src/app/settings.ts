import { defineStore } from 'pinia'
import { ref } from 'vue'
import { chooseLocale, i18n } from '@/i18n'
import type { Locale } from '@/i18n/locale'
import { applyTheme, followSystem, readTheme, type ThemeChoice } from './theme'

/** What the viewer chose for the whole site. */
export const useSettings = defineStore('settings', () => {
  const theme = ref<ThemeChoice>(readTheme())
  const locale = ref<Locale>(i18n.global.locale.value)
  followSystem(() => theme.value)
  return {
    theme,
    locale,
    setTheme(choice: ThemeChoice) {
      theme.value = choice
      applyTheme(choice)
    },
    async setLocale(choice: Locale) {
      await chooseLocale(choice)
      locale.value = choice
    },
  }
})
