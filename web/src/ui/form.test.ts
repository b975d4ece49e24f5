// @vitest-environment jsdom
import { mount } from '@vue/test-utils'
import { describe, expect, it, vi } from 'vitest'
import { createI18n } from 'vue-i18n'
import { ApiError } from '@/api/client'
import common from '@/i18n/en/common.json'
import forms from '@/i18n/en/forms.json'
import { required, useForm } from './form'
import TextField from './TextField.vue'

const refusal = (code: string, errors: object[] = []) =>
  new ApiError(422, code, 'no', null, { errors: errors as never })

describe('a form', () => {
  it('puts refusals beside the values that they are about', async () => {
    const send = vi.fn(() =>
      Promise.reject(
        refusal('validation_failed', [
          { pointer: '/title', code: 'too_long', message: '', max: 120 },
          { pointer: '/links/0/url', code: 'invalid_format', message: '' },
        ]),
      ),
    )
    const form = useForm({ title: '', links: '' }, { send })
    await form.submit()
    expect(form.faults.title).toMatchObject({ code: 'too_long', max: 120 })
    expect(form.faults.links).toMatchObject({ code: 'invalid_format' })
    expect(form.failure).toBeNull()
    expect(form.done).toBe(false)
  })

  it('tells of values that it does not show, and of all other refusals, as a whole', async () => {
    let error = refusal('validation_failed', [{ pointer: '/hidden', code: 'required', message: '' }])
    const form = useForm(
      { name: '' },
      { send: (): Promise<void> => Promise.reject(error), about: { username_taken: 'name' } },
    )
    await form.submit()
    expect(form.failure).toBe(error)
    error = new ApiError(409, 'username_taken', 'taken', null)
    await form.submit()
    expect(form.failure).toBeNull()
    expect(form.faults.name?.code).toBe('username_taken')
  })

  it('does not send what its own check refuses, nor twice at a time', async () => {
    let finish = () => {}
    const send = vi.fn(() => new Promise<void>((resolve) => (finish = resolve)))
    const form = useForm({ name: '' }, { send, check: ({ name }) => (name ? {} : { name: required }) })
    await form.submit()
    expect(send).not.toHaveBeenCalled()
    expect(form.faults.name).toEqual(required)
    form.values.name = 'anna'
    const first = form.submit()
    void form.submit()
    finish()
    await first
    expect(send).toHaveBeenCalledTimes(1)
    expect(form.done).toBe(true)
  })

  it('shows what the server made of what was sent, and leaves what is typed meanwhile', async () => {
    let finish: (stored: object) => void = () => {}
    const form = useForm(
      { name: 'anna ', bio: 'Chess', links: [{ url: 'a.example' }], tags: ['b', 'a'] },
      { send: () => new Promise<object>((resolve) => (finish = resolve)) },
    )
    const sending = form.submit()
    form.values.bio = 'Chess and more'
    form.values.links.forEach((link) => (link.url = 'b.example'))
    finish({ name: 'anna', bio: 'Chess', links: [{ url: 'https://a.example' }], tags: ['a', 'b'] })
    await sending
    expect(form.values).toEqual({
      name: 'anna',
      bio: 'Chess and more',
      links: [{ url: 'b.example' }],
      tags: ['a', 'b'],
    })
    expect(form.done).toBe(true)
  })
})

describe('a field', () => {
  const i18n = createI18n({ legacy: false, locale: 'en', messages: { en: { common, forms } } })
  const field = (props: object) =>
    mount(TextField, { props: { label: 'Title', modelValue: '', ...props }, global: { plugins: [i18n] } })

  it('is labelled, and says what is wrong to everybody', () => {
    const box = field({ fault: { code: 'too_long', max: 120 }, hint: 'Short.', autocomplete: 'off' })
    const input = box.get('input')
    expect(box.get('label').attributes('for')).toBe(input.attributes('id'))
    expect(input.attributes('aria-invalid')).toBe('true')
    const described = input.attributes('aria-describedby')?.split(' ') ?? []
    expect(described.map((id) => box.get(`[id="${id}"]`).text())).toEqual([
      'Short.',
      'At most 120 characters.',
    ])
    expect(box.get('[role=alert]').text()).toBe('At most 120 characters.')
  })

  it('says what the server says where it has no words of its own', () => {
    expect(
      field({ fault: { code: 'odd', message: 'is odd' } })
        .get('[role=alert]')
        .text(),
    ).toBe('is odd')
  })

  it('shows a password where it is asked to', async () => {
    const box = field({ type: 'password', modelValue: 'secret' })
    expect(box.get('input').attributes('type')).toBe('password')
    await box.get('button').trigger('click')
    expect(box.get('input').attributes('type')).toBe('text')
  })
})
