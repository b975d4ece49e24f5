import type { Limits, LimitsPatch } from '@/api/types'

/** How many of the stored unit one of the shown unit is: people think in GiB and hours. */
const units: Record<keyof Limits, number> = {
  storage_max_bytes: 2 ** 30,
  file_max_bytes: 2 ** 30,
  duration_max_s: 3_600,
  uploads_max: 1,
  streams_max: 1,
  stream_keys_max: 1,
  webhooks_max: 1,
  api_tokens_max: 1,
}
export const limitKeys = Object.keys(units) as (keyof Limits)[]
export type LimitTexts = Record<keyof Limits, string>

/** Limits as they are typed. */
export function toTexts(limits: Limits): LimitTexts {
  return Object.fromEntries(
    limitKeys.map((key) => [key, String(Number((limits[key] / units[key]).toFixed(3)))]),
  ) as LimitTexts
}

/** Whether that can be a limit; empty: the site's own. */
export function isLimit(text: string): boolean {
  return text.trim() === '' || /^\d{1,12}(\.\d{1,3})?$/.test(text.trim())
}

/** What has to be sent: only what was changed, so that what follows the site's limits goes on to do so. */
export function toPatch(texts: LimitTexts, limits: Limits): LimitsPatch {
  const before = toTexts(limits)
  return Object.fromEntries(
    limitKeys
      .filter((key) => texts[key].trim() !== before[key])
      .map((key) => {
        const text = texts[key].trim()
        return [key, text === '' ? null : Math.round(Number(text) * units[key])]
      }),
  )
}
