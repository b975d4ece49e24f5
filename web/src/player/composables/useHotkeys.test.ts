// @vitest-environment jsdom
import { mount } from '@vue/test-utils'
import { describe, expect, it, vi } from 'vitest'
import { defineComponent, h } from 'vue'
import { keyName, takes, useHotkeys } from './useHotkeys'

const element = (html: string) => {
  document.body.innerHTML = html
  return document.body.querySelector('[data-here]')
}

describe('which keys the player takes', () => {
  it.each([
    ['<p data-here></p>', ' ', true],
    ['<input data-here>', 'm', false],
    ['<textarea data-here></textarea>', 'k', false],
    ['<div contenteditable="true"><b data-here></b></div>', 'f', false],
    ['<button data-here></button>', ' ', false],
    ['<button data-here></button>', 'm', true],
    ['<input type="range" data-here>', 'ArrowLeft', false],
    ['<input type="range" data-here>', 'm', true],
    ['<dialog open><button data-here></button></dialog>', 'm', false],
    ['<div role="menu"><button data-here></button></div>', 'k', false],
  ])('%s %j: %s', (html, key, taken) => expect(takes(element(html), key)).toBe(taken))

  it.each([
    [{ key: 'K', code: 'KeyK', altKey: false }, 'k'],
    [{ key: 'x', code: 'KeyX', altKey: true }, 'Alt+x'],
    // On a Mac, and on a Dvorak keyboard.
    [{ key: '≈', code: 'KeyX', altKey: true }, 'Alt+x'],
    [{ key: 'x', code: 'KeyB', altKey: true }, 'Alt+x'],
  ])('%j is named %s', (event, name) => expect(keyName(event)).toBe(name))
})

describe('hotkeys', () => {
  function press(key: string, init: KeyboardEventInit = {}) {
    const event = new KeyboardEvent('keydown', { key, cancelable: true, bubbles: true, ...init })
    window.dispatchEvent(event)
    return event
  }

  it('run while the component stands, unless a modifier is held or they are off', () => {
    let enabled = true
    const run = vi.fn()
    const wrapper = mount(
      defineComponent({
        setup() {
          useHotkeys({ m: run }, () => enabled)
          return () => h('div')
        },
      }),
    )
    expect(press('m').defaultPrevented).toBe(true)
    press('M')
    expect(run).toHaveBeenCalledTimes(2)
    press('m', { ctrlKey: true })
    press('m', { altKey: true, code: 'KeyM' })
    press('x')
    enabled = false
    press('m')
    expect(run).toHaveBeenCalledTimes(2)
    enabled = true
    wrapper.unmount()
    press('m')
    expect(run).toHaveBeenCalledTimes(2)
  })
})
