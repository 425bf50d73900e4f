/**
 * What Aedes needs of a store and of an emitter, keeping nothing and telling nobody.
 * A gateway may drop anything at any time: a record belongs to its station until the cloud has committed it,
 * and what goes down is written to one station's own connection. So no message ever passes from station to station.
 */
import { Readable } from 'node:stream';

type Done = (error?: Error | null) => void;

/** The persistence of Aedes 1.2 as no state at all: sessions end with their connection, nothing is retained here. */
export function noPersistence() {
  const nothing = async () => {};
  return {
    async setup() {},
    storeRetained: nothing,
    createRetainedStreamCombi: () => Readable.from([]),
    addSubscriptions: nothing,
    removeSubscriptions: nothing,
    cleanSubscriptions: nothing,
    subscriptionsByClient: async () => [],
    subscriptionsByTopic: async () => [],
    outgoingStream: () => Readable.from([]),
    outgoingEnqueue: nothing,
    outgoingEnqueueCombi: nothing,
    outgoingUpdate: nothing,
    outgoingClearMessageId: nothing,
    putWill: nothing,
    delWill: nothing,
    streamWill: () => Readable.from([]),
    cleanIncoming: nothing,
    // Asked for by a PUBREL, which any station may send: nothing is kept of QoS 2, so the answer is PUBCOMP at once.
    incomingGetPacket: nothing,
  };
}

/** The emitter of Aedes as a dead end. It answers at once, so that closing a client is one synchronous step. */
export function deafEmitter() {
  return {
    on: (_topic: string, _listener: unknown, done?: Done) => done?.(),
    removeListener: (_topic: string, _listener: unknown, done?: Done) => done?.(),
    emit: (_packet: unknown, done?: Done) => done?.(),
    close: (done?: Done) => done?.(),
  };
}
