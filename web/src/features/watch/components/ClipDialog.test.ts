// @vitest-environment jsdom
import { flushPromises, mount } from '@vue/test-utils'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { createMemoryHistory, createRouter } from 'vue-router'
import { ApiError, client } from '@/api/client'
import { i18n, loadMessages } from '@/i18n'
import ClipDialog from './ClipDialog.vue'

beforeEach(async () => {
  await loadMessages(['forms'])
  // jsdom has no dialogs that open.
  HTMLDialogElement.prototype.showModal = function () {
    this.setAttribute('open', '')
  }
  HTMLDialogElement.prototype.close = function () {
    this.removeAttribute('open')
  }
})
afterEach(() => void vi.restoreAllMocks())

async function opened(moment: { at: number; start: number } | null) {
  const component = { template: '<p />' }
  const router = createRouter({
    history: createMemoryHistory(),
    routes: [
      { path: '/', component },
      { path: '/video/:video', name: 'video', component },
    ],
  })
  await router.push('/')
  const box = mount(ClipDialog, {
    props: { open: false, stream: 'blitz', title: 'Friday blitz', moment },
    global: { plugins: [i18n, router] },
    attachTo: document.body,
  })
  await box.setProps({ open: true })
  return box
}

it('cuts what was seen when it was opened, and tells where it is', async () => {
  const post = vi.spyOn(client, 'post').mockResolvedValue({ data: { id: 'v1', title: 'What a move' } })
  const box = await opened({ at: 91.25, start: 0 })
  expect(box.text()).toContain('1:31 of the broadcast')
  // The picture goes on.
  await box.setProps({ moment: { at: 100, start: 0 } })
  await box.get('[name=title]').setValue('What a move')
  await box.get('input[value="60"]').setValue()
  await box.get('form').trigger('submit')
  await flushPromises()
  expect(post.mock.calls[0]?.slice(0, 2)).toEqual([
    '/streams/blitz/clips',
    { title: 'What a move', end_ms: 91_250, duration_ms: 60_000 },
  ])
  expect(box.get('h2').text()).toBe('Your clip is ready')
  expect(box.get('[data-clip-link]').attributes('href')).toBe(`${location.origin}/video/v1`)
  expect(document.activeElement).toBe(box.get('[data-clip-link]').element)
  box.unmount()
})

it.each([
  ['forbidden', 'follow it'],
  ['invalid_state', 'cannot be cut'],
  ['limit_reached', '(100)'],
  ['rate_limited', '2 seconds'],
])('says in words why there is none: %s', async (code, words) => {
  const refusal = new ApiError(409, code, 'no', null, { max: 100, retry_after_ms: 2_000 })
  vi.spyOn(client, 'post').mockRejectedValue(refusal)
  const box = await opened(null)
  await box.get('form').trigger('submit')
  await flushPromises()
  expect(box.get(`[data-problem=${code}]`).text()).toContain(words)
  box.unmount()
})

it('offers no more than there is', async () => {
  const box = await opened({ at: 40, start: 0 })
  expect(box.findAll('input[type=radio]').map((radio) => radio.attributes('disabled'))).toEqual([
    undefined,
    undefined,
    '',
  ])
  await box.setProps({ open: false })
  await box.setProps({ open: true, moment: { at: 3, start: 0 } })
  expect(box.find('form').exists()).toBe(false)
  expect(box.find('[data-clip-early]').exists()).toBe(true)
  box.unmount()
})

it('shows a clip that was not waited for before it cuts the next', async () => {
  let finish: (answer: object) => void = () => {}
  vi.spyOn(client, 'post').mockReturnValue(new Promise((resolve) => (finish = resolve)))
  const box = await opened({ at: 90, start: 0 })
  await box.get('form').trigger('submit')
  await box.setProps({ open: false })
  finish({ data: { id: 'v1', title: 'Friday blitz' } })
  await flushPromises()
  await box.setProps({ open: true, moment: { at: 120, start: 0 } })
  expect(box.find('[data-clip-made]').exists()).toBe(true)
  await box.setProps({ open: false })
  await box.setProps({ open: true })
  expect(box.text()).toContain('2:00 of the broadcast')
  box.unmount()
})
