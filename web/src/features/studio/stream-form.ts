import type { Stream } from '@/api/types'

/** A stream as it is filled in. */
export interface StreamValues {
  title: string
  slug: string
  description: string
  category: string
  tags: string
  visibility: string
  latency: string
  record: boolean
  mature: boolean
}

export const emptyStream: StreamValues = {
  title: '',
  slug: '',
  description: '',
  category: '',
  tags: '',
  visibility: 'public',
  latency: 'low',
  record: true,
  mature: false,
}

export function valuesOf(stream: Stream): StreamValues {
  const { title, slug, description, category, tags, visibility, latency, record, mature } = stream
  return { title, slug, description, category, tags: tags.join(', '), visibility, latency, record, mature }
}

/** Tags between commas of either script, without repetitions. */
export function tagsOf(text: string): string[] {
  return [
    ...new Set(
      text
        .split(/[,，、]/)
        .map((tag) => tag.trim())
        .filter(Boolean),
    ),
  ]
}

/** What differs, in the form of the API: nobody else's change of another value is overwritten. */
export function changesOf(before: StreamValues, now: StreamValues) {
  const changed = Object.entries(now).filter(([key, value]) => value !== before[key as keyof StreamValues])
  const patch = Object.fromEntries(changed) as Partial<StreamValues>
  const { tags, ...rest } = patch
  return { ...rest, ...(tags === undefined ? {} : { tags: tagsOf(tags) }) }
}
