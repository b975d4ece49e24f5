import { describe, expect, it } from 'vitest'
import { createI18n } from 'vue-i18n'
import { compile } from './compile'

const files = import.meta.glob<object>('./{en,zh-CN}/*.json', { eager: true, import: 'default' })

function texts(value: unknown): string[] {
  return typeof value === 'string' ? [value] : Object.values(value as object).flatMap(texts)
}

const all = [...new Set(Object.values(files).flatMap(texts))]
const own = { ...Object.fromEntries(all.map((text, i) => [i, text])), quoted: "{'{'}{name}{'}'}" }
const values = new Proxy(
  { name: 'Anna' },
  { get: (of, key) => Reflect.get(of, key) ?? `<${String(key)}>`, has: () => true },
)

/** All that is said by a compiler; undefined: the library's own. */
function said(messageCompiler: unknown, count: number): string[] {
  const { global } = createI18n({
    legacy: false,
    locale: 'en',
    messages: { en: own },
    ...(messageCompiler ? { messageCompiler: messageCompiler as never } : {}),
  })
  const t = global.t as (key: string, values: object, count: number) => string
  return Object.keys(own).map((key) => t(key, values, count))
}

describe('messages', () => {
  it.each([0, 1, 2, 7])('are said as the library would, for %s', (count) => {
    expect(all.length).toBeGreaterThan(700)
    expect(said(compile, count)).toEqual(said(undefined, count))
  })
})
