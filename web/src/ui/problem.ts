import { useI18n } from 'vue-i18n'
import type { ApiError } from '@/api/client'

/** Says in the reader's language why something was refused; codes without words of their own are told as the server does. */
export function useProblem(): (error: ApiError) => string {
  const { t, te, locale } = useI18n()
  return (error) => {
    const { retry_after_ms: wait, until, max, reason } = error.more
    if (error.code === 'account_suspended') {
      const why = reason ? ` ${t('forms.problem.suspendedFor', { reason })}` : ''
      if (!until) return t('forms.problem.account_suspended') + why
      const date = new Intl.DateTimeFormat(locale.value, { dateStyle: 'long', timeStyle: 'short' })
      return t('forms.problem.suspendedUntil', { until: date.format(Date.parse(until)) }) + why
    }
    if (wait !== undefined && te(`forms.problem.${error.code}`, 'en')) {
      const span = new Intl.NumberFormat(locale.value, { style: 'unit', unit: 'second', unitDisplay: 'long' })
      return t(`forms.problem.${error.code}`, { wait: span.format(Math.max(1, Math.ceil(wait / 1_000))) })
    }
    const key = `forms.problem.${error.code}`
    if (te(key) || te(key, 'en')) return t(key, { max: max ?? '', wait: t('forms.problem.while') })
    return error.status >= 500 ? t('forms.problem.internal') : error.detail || t('forms.problem.internal')
  }
}
