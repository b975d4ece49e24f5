// The shortest WHEP player there can be: one offer, one answer, no trickle.
const { source, video, fail } = window.testPage

async function play() {
  const pc = new RTCPeerConnection()
  window.testPage.connection = pc
  const stream = new MediaStream()
  pc.addEventListener('track', ({ track, receiver }) => {
    // What is measured is the server: no smoothing beyond what the network asks for.
    receiver.jitterBufferTarget = 0
    stream.addTrack(track)
    video.srcObject = stream
  })
  pc.addEventListener(
    'connectionstatechange',
    () => pc.connectionState === 'failed' && fail('connection failed'),
  )
  pc.addTransceiver('video', { direction: 'recvonly' })
  pc.addTransceiver('audio', { direction: 'recvonly' })
  await pc.setLocalDescription()
  window.testPage.requested = performance.now()
  const answer = await fetch(source, {
    method: 'POST',
    headers: { 'Content-Type': 'application/sdp' },
    body: pc.localDescription.sdp,
  })
  if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`)
  await pc.setRemoteDescription({ type: 'answer', sdp: await answer.text() })
  setInterval(async () => {
    const heard = [...(await pc.getStats()).values()].find(
      (s) => s.type === 'inbound-rtp' && s.kind === 'audio',
    )
    if (heard) window.testPage.energy = heard.totalAudioEnergy
  }, 200)
  video.muted = false
  await video.play()
}

play().catch((error) => error.name === 'AbortError' || fail(error))
