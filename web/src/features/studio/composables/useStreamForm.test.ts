// @vitest-environment jsdom
import { expect, it, vi } from 'vitest'
import { nextTick, shallowRef } from 'vue'
import type { Stream } from '@/api/types'
import { useStreamForm } from './useStreamForm'

function setup() {
  const stream = shallowRef({ id: '1', title: 'Blitz', updated_at: '2026-11-27T10:00:00.000Z' } as Stream)
  const update = vi.fn(async (_id: string, patch: object) => ({
    ...stream.value,
    ...patch,
    updated_at: '2026-11-27T10:00:09.000Z',
  }))
  const form = useStreamForm(() => stream.value, {
    read: ({ title }) => ({ title }),
    patch: (before, now) => (before.title === now.title ? {} : { title: now.title }),
    changed: (next) => (stream.value = next),
    update: update as never,
  })
  const elsewhere = async (title: string, seconds: number) => {
    stream.value = {
      ...stream.value,
      title,
      updated_at: `2026-11-27T10:00:${String(seconds).padStart(2, '0')}.000Z`,
    }
    await nextTick()
  }
  return { form, update, elsewhere }
}

it('takes in what is changed elsewhere, also after it was saved here', async () => {
  const { form, elsewhere } = setup()
  await elsewhere('Bullet', 1)
  expect(form.values.title).toBe('Bullet')
  form.values.title = 'Rapid'
  await form.submit()
  expect(form.done).toBe(true)
  // What was on its way when that was saved is old.
  await elsewhere('Bullet', 2)
  expect(form.values.title).toBe('Rapid')
  await elsewhere('Classic', 40)
  expect(form.values.title).toBe('Classic')
})

it('leaves alone what somebody is writing', async () => {
  const { form, update, elsewhere } = setup()
  form.values.title = 'Rapid'
  await elsewhere('Bullet', 1)
  expect(form.values.title).toBe('Rapid')
  await form.submit()
  expect(update).toHaveBeenCalledWith('1', { title: 'Rapid' })
})

it('leaves alone what somebody writes while it is saved', async () => {
  const { form, update } = setup()
  form.values.title = 'Rapid'
  const saving = form.submit()
  form.values.title = 'Rapid chess'
  await saving
  expect(form.values.title).toBe('Rapid chess')
  await form.submit()
  expect(update).toHaveBeenLastCalledWith('1', { title: 'Rapid chess' })
})
