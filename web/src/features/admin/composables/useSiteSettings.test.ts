// @vitest-environment jsdom
import { afterEach, expect, it, vi } from 'vitest'
import { type EffectScope, effectScope } from 'vue'
import { ApiError } from '@/api/client'
import type { SiteSettings } from '@/api/operations'
import { useSiteSettings } from './useSiteSettings'

const scopes: EffectScope[] = []
afterEach(() => scopes.splice(0).forEach((scope) => scope.stop()))

/** A server with two keys, which refuses what was not written on its version. */
function server() {
  const values: Record<string, string | number> = { 'auth.registration': 'open', 'limits.live_sessions': 0 }
  let version = 1
  const state = (): SiteSettings => ({
    etag: `"v${version}"`,
    items: Object.entries(values).map(([key, value]) => ({
      key,
      value,
      default: typeof value === 'number' ? 0 : 'open',
      source: 'db',
      description: '',
    })),
  })
  const change = (patch: object) => {
    Object.assign(values, patch)
    version++
  }
  const load = vi.fn(async () => state())
  const save = vi.fn(async (etag: string, patch: object) => {
    if (!etag) throw new ApiError(428, 'if_match_required', '', null)
    if (etag !== `"v${version}"`) throw new ApiError(412, 'version_mismatch', '', null)
    change(
      Object.fromEntries(Object.entries(patch).map(([key, value]) => [key, (value as string) ?? 'open'])),
    )
    return state()
  })
  return { load, save, change, values }
}

async function open(on: ReturnType<typeof server>) {
  const scope = effectScope()
  scopes.push(scope)
  const settings = scope.run(() => useSiteSettings(on))
  if (!settings) throw new Error('no scope')
  await vi.waitFor(() => expect(settings.items.value).toHaveLength(2))
  return settings
}

it('sends what was changed alone, as the values are', async () => {
  const on = server()
  const { form, changed } = await open(on)
  await form.submit()
  expect(on.save).toHaveBeenCalledWith('"v1"', {})
  form.values['limits.live_sessions'] = ' 3 '
  await form.submit()
  expect(on.save).toHaveBeenLastCalledWith('"v2"', { 'limits.live_sessions': 3 })
  expect(form.done).toBe(true)
  expect(changed.value).toEqual([])
})

it('sends no number that is none', async () => {
  const on = server()
  const { form } = await open(on)
  for (const wrong of ['', 'two', '-1', '1.5', '1e3']) {
    form.values['limits.live_sessions'] = wrong
    await form.submit()
    expect(form.faults['limits.live_sessions']?.code, wrong).toBe('invalid')
  }
  expect(on.save).not.toHaveBeenCalled()
})

it('shows what somebody else changed, keeps what is typed, and writes it then', async () => {
  const on = server()
  const { form, conflicts } = await open(on)
  form.values['limits.live_sessions'] = '5'
  on.change({ 'auth.registration': 'closed' })
  await form.submit()
  expect(conflicts.value).toEqual([{ key: 'auth.registration', was: 'open', is: 'closed' }])
  expect(form.failure?.code).toBe('version_mismatch')
  expect(form.values).toMatchObject({ 'auth.registration': 'closed', 'limits.live_sessions': '5' })
  expect(on.values['limits.live_sessions']).toBe(0)
  await form.submit()
  expect(on.values).toEqual({ 'auth.registration': 'closed', 'limits.live_sessions': 5 })
  expect(conflicts.value).toBeNull()
})

it('does not lose what is typed for the very key that somebody else changed', async () => {
  const on = server()
  const { form, conflicts } = await open(on)
  form.values['auth.registration'] = 'invite'
  on.change({ 'auth.registration': 'closed' })
  await form.submit()
  expect(conflicts.value).toEqual([{ key: 'auth.registration', was: 'open', is: 'closed' }])
  expect(form.values['auth.registration']).toBe('invite')
})

it('reads again where the version got lost on the way', async () => {
  const on = server()
  on.load.mockImplementationOnce(async () => ({
    etag: '',
    items: (await server().load()).items,
  }))
  const { form, conflicts } = await open(on)
  form.values['auth.registration'] = 'closed'
  await form.submit()
  expect(form.failure?.code).toBe('if_match_required')
  expect(conflicts.value).toEqual([])
  await form.submit()
  expect(on.values['auth.registration']).toBe('closed')
})

it('takes a value back by null, on the version that was read', async () => {
  const on = server()
  const { takeBack } = await open(on)
  await takeBack('auth.registration')
  expect(on.save).toHaveBeenCalledWith('"v1"', { 'auth.registration': null })
  on.change({ 'auth.registration': 'invite' })
  await expect(takeBack('auth.registration')).rejects.toMatchObject({ code: 'version_mismatch' })
})

it('keeps what is typed while it is saved', async () => {
  const on = server()
  const { form, changed } = await open(on)
  form.values['limits.live_sessions'] = ' 3 '
  const saving = form.submit()
  form.values['auth.registration'] = 'invite'
  await saving
  expect(form.values).toMatchObject({ 'auth.registration': 'invite', 'limits.live_sessions': '3' })
  expect(changed.value.map(({ key }) => key)).toEqual(['auth.registration'])
})
