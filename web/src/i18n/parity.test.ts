import { describe, expect, it } from 'vitest'
import en from './en'
import zh from './zh-CN'

function keys(value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null) return [path]
  return Object.entries(value).flatMap(([key, inner]) => keys(inner, path ? `${path}.${key}` : key))
}

function texts(value: unknown): string[] {
  return typeof value === 'string' ? [value] : Object.values(value as object).flatMap(texts)
}

const placeholders = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]).sort()

describe('languages', () => {
  it('have the same keys', () => {
    expect(keys(zh).sort()).toEqual(keys(en).sort())
  })
  it('name the same values in each sentence', () => {
    expect(texts(zh).map(placeholders)).toEqual(texts(en).map(placeholders))
  })
  it('leave no sentence empty', () => {
    for (const text of [...texts(en), ...texts(zh)]) expect(text.trim()).not.toBe('')
  })
})
