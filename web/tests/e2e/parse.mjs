// Reads every reload of a live stream by two parsers that are not ours, hls-parser (strict) and m3u8-parser:
//
//	node web/tests/e2e/parse.mjs URL SECONDS
//
// Prints what they find, a JSON object a line, and a count of what was read; exit code 1 where they found something or
// do not agree on what the playlist says. Full and delta updates take turns.
import hls from 'hls-parser'
import { Parser } from 'm3u8-parser'

hls.setOptions({ strictMode: true })

const read = { multivariant: 0, full: 0, delta: 0, coarse: 0 }
let found = 0

function find(url, what, text) {
  found++
  process.stdout.write(`${JSON.stringify({ url, what: String(what), text })}\n`)
}

/** m3u8-parser tells by events what it does not like. */
function parseByVideojs(url, text) {
  const parser = new Parser()
  parser.on('warn', ({ message }) => find(url, `m3u8-parser: ${message}`, text))
  // Told of each tag that a version must be known for; the rest of its news is about defaults that it fills in.
  parser.push(text)
  parser.end()
  return parser.manifest
}

/**
 * Whether all listed parts lie within three target durations of the end. hls-parser counts segments instead, which is
 * wrong where one is short, as at the end of an epoch.
 */
function partsAreRecent(text) {
  const target = Number(/^#EXT-X-TARGETDURATION:(\d+)/m.exec(text)?.[1])
  const [, listed] = /^(#EXT-X-PART:[^]*)/m.exec(text) ?? []
  let sum = 0
  let open = 0
  for (const [, tag, seconds] of (listed ?? '').matchAll(/^#(EXTINF:|EXT-X-PART:DURATION=)([\d.]+)/gm)) {
    if (tag === 'EXTINF:') {
      sum += Number(seconds)
      open = 0
    } else open += Number(seconds)
  }
  return sum + open <= 3 * target + 0.5
}

function parseStrictly(url, text) {
  try {
    return hls.parse(text)
  } catch (error) {
    if (/greater than three target durations/.test(error.message) && partsAreRecent(text)) read.coarse++
    else find(url, `hls-parser: ${error.message}`, text)
    return null
  }
}

async function get(url) {
  const response = await fetch(url, { signal: AbortSignal.timeout(15_000) })
  if (!response.ok) throw new Error(`GET ${url}: ${response.status}`)
  return response.text()
}

/** What both parsers must agree on. */
function compare(url, text, strict, videojs) {
  const same = (name, a, b) => {
    if (JSON.stringify(a) !== JSON.stringify(b))
      find(url, `the parsers differ in ${name}: ${a} and ${b}`, text)
  }
  const complete = strict.segments.filter((segment) => segment.duration)
  same('media sequence', strict.mediaSequenceBase, videojs.mediaSequence)
  same('target duration', strict.targetDuration, videojs.targetDuration)
  same('part target', strict.partTargetDuration, videojs.partTargetDuration)
  same('discontinuity sequence', strict.discontinuitySequenceBase ?? 0, videojs.discontinuitySequence ?? 0)
  same(
    'segments',
    complete.map((segment) => segment.uri),
    videojs.segments.filter((segment) => segment.duration).map((segment) => segment.uri),
  )
  same(
    'parts',
    strict.segments.flatMap((segment) => segment.parts.filter((part) => !part.hint).map((part) => part.uri)),
    [...videojs.segments, { parts: videojs.preloadSegment?.parts }].flatMap((segment) =>
      (segment.parts ?? []).map((part) => part.uri),
    ),
  )
  same('skipped', strict.skip, videojs.skip?.skippedSegments ?? 0)
  return { msn: strict.mediaSequenceBase + strict.skip + complete.length, open: strict.segments.at(-1) }
}

/** Follows one media playlist by blocking reloads. */
async function follow(url, until) {
  let query = ''
  let base = -1
  for (let turn = 0; Date.now() < until; turn++) {
    const asked = `${url}${query}`
    const text = await get(asked)
    read[query.includes('_HLS_skip') ? 'delta' : 'full']++
    const strict = parseStrictly(asked, text)
    const videojs = parseByVideojs(asked, text)
    if (!strict) {
      // Without numbers to ask for, the next look is at the plain playlist.
      query = ''
      await new Promise((resolve) => setTimeout(resolve, 200))
      continue
    }
    if (strict.mediaSequenceBase < base) find(asked, `media sequence went back from ${base}`, text)
    base = strict.mediaSequenceBase
    const { msn, open } = compare(asked, text, strict, videojs)
    const parts = open?.duration ? 0 : (open?.parts.filter((part) => !part.hint).length ?? 0)
    query = `?_HLS_msn=${msn}&_HLS_part=${parts}${turn % 2 ? '' : '&_HLS_skip=YES'}`
  }
}

const [address, seconds] = process.argv.slice(2)
const until = Date.now() + Number(seconds) * 1000
const text = await get(address)
read.multivariant++
parseByVideojs(address, text)
const multivariant = parseStrictly(address, text)
const uris = new Set(
  (multivariant?.variants ?? []).flatMap((variant) => [
    variant.uri,
    ...variant.audio.map((audio) => audio.uri),
  ]),
)
await Promise.all([...uris].filter(Boolean).map((uri) => follow(new URL(uri, address).href, until)))
process.stdout.write(`${JSON.stringify({ read, found })}\n`)
process.exitCode = found ? 1 : 0
