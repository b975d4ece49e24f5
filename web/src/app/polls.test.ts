// @vitest-environment jsdom
import { mount } from '@vue/test-utils'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { type Component, nextTick } from 'vue'
import { createI18n } from 'vue-i18n'
import { client } from '@/api/client'
import DeliveryList from '@/features/settings/components/DeliveryList.vue'
import ExportsPanel from '@/features/settings/components/ExportsPanel.vue'
import BroadcastList from '@/features/studio/components/BroadcastList.vue'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

const i18n = createI18n({ legacy: false, locale: 'en', missingWarn: false, fallbackWarn: false })
const stream = { id: 's', state: 'idle' }
const lists: [string, Component, object, object][] = [
  ['deliveries', DeliveryList, { webhook: 'w', news: 0 }, { state: 'waiting', attempt: 1 }],
  ['exports', ExportsPanel, {}, { state: 'running' }],
  ['broadcasts', BroadcastList, { stream }, { end_reason: null, duration_ms: 1_000 }],
]

it.each(lists)('%s are asked for while they are seen, and said to be old where that fails', async (...of) => {
  const [, component, props, fields] = of
  const item = { id: '1', created_at: '2026-11-27T10:00:00Z', started_at: '2026-11-27T10:00:00Z', ...fields }
  const get = vi.spyOn(client, 'get').mockResolvedValue({ data: { items: [item], next_cursor: null } })
  const seen = vi.spyOn(document, 'visibilityState', 'get').mockReturnValue('hidden')
  const page = mount(component, { props, global: { plugins: [i18n], stubs: { RouterLink: true } } })
  await vi.advanceTimersByTimeAsync(60_000)
  expect(get).toHaveBeenCalledTimes(1)
  seen.mockReturnValue('visible')
  document.dispatchEvent(new Event('visibilitychange'))
  await vi.advanceTimersByTimeAsync(1)
  expect(get).toHaveBeenCalledTimes(2)
  get.mockRejectedValue(new Error('away'))
  await vi.advanceTimersByTimeAsync(15_000)
  await nextTick()
  expect(page.find('[data-stale]').exists()).toBe(true)
  expect(page.findAll('li')).toHaveLength(1)
  page.unmount()
})
