import { expect, it, vi } from 'vitest'
import { ref, shallowRef } from 'vue'
import { ApiError } from '@/api/client'
import { useRemovable } from './useRemovable'

const item = (id: string) => ({ video: { id } })

function setup(send: (video: string) => Promise<void>, next: string | null = null) {
  const [one, two, three] = [item('1'), item('2'), item('3')]
  const list = { items: shallowRef<ReturnType<typeof item>[] | null>([one, two, three]), next: ref(next) }
  const more = vi.fn(async () => undefined)
  const ids = () => list.items.value?.map(({ video }) => video.id)
  return { ...useRemovable({ ...list, more }, send), list, more, ids, one, two, three }
}

it('takes one out at once', async () => {
  const send = vi.fn(async () => undefined)
  const { remove, ids, two, more } = setup(send)
  const sending = remove(two)
  expect(ids()).toEqual(['1', '3'])
  await sending
  expect(send).toHaveBeenCalledWith('2')
  expect(more).not.toHaveBeenCalled()
})

it('puts it back where it was, if it is refused', async () => {
  const { remove, ids, failure, two } = setup(() =>
    Promise.reject(new ApiError(503, 'unavailable', '', null)),
  )
  await remove(two)
  expect(ids()).toEqual(['1', '2', '3'])
  expect(failure.value?.code).toBe('unavailable')
})

it('asks for the next page once this one is empty', async () => {
  const { remove, more, one, two, three } = setup(async () => undefined, 'next')
  for (const each of [one, two, three]) await remove(each)
  expect(more).toHaveBeenCalledTimes(1)
})
