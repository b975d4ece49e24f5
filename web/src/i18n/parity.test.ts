import { describe, expect, it } from 'vitest'
import { features } from '.'
import en from './en'

function keys(value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null) return [path]
  return Object.entries(value).flatMap(([key, inner]) => keys(inner, path ? `${path}.${key}` : key))
}

function texts(value: unknown): string[] {
  return typeof value === 'string' ? [value] : Object.values(value as object).flatMap(texts)
}

const files = import.meta.glob<Record<string, unknown>>('./{en,zh-CN}/*.json', {
  eager: true,
  import: 'default',
})

/** All messages of a language: those that every page has, and those that come with some. */
function messages(locale: string): Record<string, unknown> {
  const own = Object.entries(files).filter(([path]) => path.startsWith(`./${locale}/`))
  return Object.fromEntries(own.map(([path, text]) => [path.slice(locale.length + 3, -'.json'.length), text]))
}

const placeholders = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]).sort()

describe('languages', () => {
  const english = messages('en')
  const chinese = messages('zh-CN')
  it('have the same keys', () => {
    expect(keys(chinese).sort()).toEqual(keys(english).sort())
  })
  it('name the same values in each sentence', () => {
    for (const feature of Object.keys(english)) {
      expect(texts(chinese[feature]).map(placeholders)).toEqual(texts(english[feature]).map(placeholders))
    }
  })
  it('leave no sentence empty', () => {
    for (const text of [...texts(english), ...texts(chinese)]) expect(text.trim()).not.toBe('')
  })
  it('have no file that no page brings', () => {
    expect(Object.keys(english).sort()).toEqual(
      [...Object.keys(en), 'player', 'video', 'watch', ...features].sort(),
    )
  })
})
