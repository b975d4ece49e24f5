import { expect, it } from 'vitest'
import source from '../../../../store/event/event.go?raw'
import { ownEvents, siteEvents } from './webhook-events'

it('offers the types that the server knows', () => {
  const types = new Map([...source.matchAll(/^\t(\w+) += "([a-z_]+\.[a-z_]+)"$/gm)].map((m) => [m[1], m[2]]))
  const list = (text = '') => [...text.matchAll(/[A-Z]\w+/g)].map(([name]) => types.get(name))
  const own = list(/^var Own = \[\]string\{([^}]*)\}/m.exec(source)?.[1])
  const more = list(/^var Site = .*\[\]string\{([^}]*)\}/m.exec(source)?.[1])
  expect(own.length).toBeGreaterThan(15)
  expect(Object.values(ownEvents).flat().sort()).toEqual(own.sort())
  expect([...siteEvents].sort()).toEqual(more.sort())
})
