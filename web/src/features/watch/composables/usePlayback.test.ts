// @vitest-environment jsdom
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { effectScope, nextTick, ref, shallowRef } from 'vue'
import { ApiError } from '@/api/client'
import type { Stream, StreamPlayback } from '@/api/types'
import { usePlayback } from './usePlayback'

vi.mock('@/api/site', () => ({ getConfig: () => Promise.reject(new Error('not asked')) }))
beforeEach(() => {
  setActivePinia(createPinia())
  vi.useFakeTimers()
})
afterEach(() => void vi.useRealTimers())

const given = (token?: string) =>
  ({
    hls_url: token ? `/t/${token}/live/club/index.m3u8` : '/live/club/index.m3u8',
    ...(token ? { playback_token: token } : {}),
  }) as StreamPlayback

function setup(answer: () => Promise<StreamPlayback>) {
  const load = vi.fn(answer)
  const stream = shallowRef<Stream | null>(null)
  const who = ref<string | undefined>()
  let now = 0
  const scope = effectScope()
  const playback = scope.run(() => usePlayback('club', stream, () => who.value, { load, now: () => now }))
  if (!playback) throw new Error('no scope')
  const settle = async () => {
    await nextTick()
    await vi.advanceTimersByTimeAsync(0)
  }
  return { ...playback, load, stream, who, settle, pass: (ms: number) => (now += ms) }
}

it('plays what everybody may watch from the address that is known before', async () => {
  const { src, stream, settle } = setup(async () => given())
  expect(src.value).toBe('/live/club/index.m3u8')
  stream.value = {} as Stream
  await settle()
  expect(src.value).toBe('/live/club/index.m3u8')
})

it('plays what is for some by the token, and asks again where media refuses it, but not at once', async () => {
  let token = 'one'
  const { src, stream, settle, renew, load, pass } = setup(async () => given(token))
  stream.value = {} as Stream
  await settle()
  expect(src.value).toBe('/t/one/live/club/index.m3u8')
  token = 'two'
  renew()
  expect(load).toHaveBeenCalledTimes(1)
  pass(5_000)
  renew()
  renew()
  await settle()
  expect(load).toHaveBeenCalledTimes(2)
  expect(src.value).toBe('/t/two/live/club/index.m3u8')
})

it('has nothing for who may not watch any more', async () => {
  let answer = async () => given('one')
  const { src, stream, settle, renew, pass } = setup(() => answer())
  stream.value = {} as Stream
  await settle()
  answer = () => Promise.reject(new ApiError(404, 'not_found', '', null))
  pass(5_000)
  renew()
  await settle()
  expect(src.value).toBe('/live/club/index.m3u8')
})

it('asks again when somebody else is asking', async () => {
  const { who, settle, load } = setup(async () => given())
  who.value = 'anna'
  await settle()
  expect(load).toHaveBeenCalledTimes(1)
})
