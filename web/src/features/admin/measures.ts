/** "1.5 GiB": bytes as people of the locale write them. */
export function bytes(count: number, locale: string): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let unit = 0
  while (count >= 1024 && unit < units.length - 1) {
    count /= 1024
    unit++
  }
  return `${new Intl.NumberFormat(locale, { maximumFractionDigits: count < 100 && unit > 0 ? 1 : 0 }).format(count)} ${units[unit]}`
}

const spans: [string, number][] = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
]

/** "3 days 4 hr": a length of time by its two largest units. */
export function span(seconds: number, locale: string): string {
  let left = Math.max(0, Math.floor(seconds))
  const parts: string[] = []
  const from = spans.findIndex(([, length]) => left >= length)
  for (const [unit, length] of from < 0 ? spans.slice(-1) : spans.slice(from, from + 2)) {
    const count = Math.floor(left / length)
    left %= length
    if (count === 0 && parts.length > 0) continue
    parts.push(
      new Intl.NumberFormat(locale, {
        style: 'unit',
        unit,
        unitDisplay: 'short',
      } as Intl.NumberFormatOptions).format(count),
    )
  }
  return parts.join(' ')
}

export function percent(ratio: number, locale: string): string {
  return new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 1 }).format(ratio)
}

export function number(value: number, locale: string, digits = 0): string {
  return new Intl.NumberFormat(locale, { maximumFractionDigits: digits }).format(value)
}

/** Date and time to the second; bad dates give an empty string. */
export function moment(date: string, locale: string): string {
  const at = Date.parse(date)
  if (Number.isNaN(at)) return ''
  return new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium' }).format(at)
}
