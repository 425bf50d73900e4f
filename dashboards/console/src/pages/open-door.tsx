/** Opening a door from afar: a reason first, then the station's own word, nothing better. */
import { Alert, Button, Group, Stack, Text, Textarea } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useState, type FormEvent } from 'react';
import type { CommandState, LiveMessage, StationDetail } from '@waystation/protocol/api';
import { api } from '../api.ts';
import { useLanguage } from '../language/language.tsx';
import { sayCommand, sayProblem } from '../language/sayings.ts';
import { useLiveMessages } from '../live/live.tsx';
import { Dialog } from '../parts/dialog.tsx';

const REASON_MAX = 200;
/** While the live line is down the answer is asked for; the deadline is 10 s, so a few times are enough. */
const ASK_AGAIN_MS = 2000;
const FINAL: readonly CommandState['status'][] = ['succeeded', 'failed', 'expired', 'unknown'];

/** Somebody is in the room: no button asks to open it. The station would refuse as well. */
const ROOM_IN_USE: readonly (StationDetail['room'] | undefined)[] = [
  'occupied',
  'bolted',
  'overstay',
];

const COLOUR: Readonly<Record<CommandState['status'], string>> = {
  sent: 'blue',
  received: 'blue',
  succeeded: 'green',
  failed: 'orange',
  expired: 'orange',
  unknown: 'orange',
};

export function OpenDoor({ station }: { station: StationDetail }) {
  const language = useLanguage();
  const { text } = language;
  const queries = useQueryClient();
  const [asking, setAsking] = useState(false);
  const [reason, setReason] = useState('');
  const [command, setCommand] = useState<CommandState | null>(null);
  const [refusal, setRefusal] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);

  const hear = useCallback((message: LiveMessage) => {
    if (message.type === 'command')
      setCommand((before) => (before?.id === message.command.id ? message.command : before));
  }, []);
  useLiveMessages(hear);
  useEffect(() => {
    if (!command || FINAL.includes(command.status)) return;
    const timer = setInterval(() => {
      // A failed look changes nothing: the next one, or the live line, will tell.
      api.command(command.id).then(setCommand, () => {});
    }, ASK_AGAIN_MS);
    return () => clearInterval(timer);
  }, [command]);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setRefusal(null);
    try {
      setCommand(await api.open(station.code, reason.trim()));
      setAsking(false);
      setReason('');
      await queries.invalidateQueries({ queryKey: ['station', station.code] });
    } catch (error) {
      setRefusal(sayProblem(error, language));
    } finally {
      setBusy(false);
    }
  };
  const not = !station.online
    ? station.online_since === null
      ? text.refusal['the station was never connected']
      : text.open_not_offline
    : ROOM_IN_USE.includes(station.room)
      ? text.open_not_occupied
      : null;
  return (
    <Stack gap="xs">
      <Button size="md" onClick={() => setAsking(true)} disabled={not !== null}>
        {text.open_door}
      </Button>
      {not !== null && (
        <Text size="sm" className="quiet">
          {not}
        </Text>
      )}
      <div aria-live="polite">
        {command && (
          <Alert color={COLOUR[command.status]} py="xs" data-command={command.status}>
            {sayCommand(command, language)}
          </Alert>
        )}
      </div>
      <Dialog opened={asking} close={() => setAsking(false)} title={text.open_title(station.name)}>
        <form onSubmit={(event) => void submit(event)}>
          <Stack>
            <Text size="sm">{station.kind === 'M' ? text.open_room_note : text.open_note}</Text>
            <Textarea
              label={text.open_reason}
              placeholder={text.open_reason_example}
              value={reason}
              onChange={(event) => setReason(event.currentTarget.value)}
              required
              minLength={2}
              maxLength={REASON_MAX}
              autosize
              minRows={2}
              data-autofocus
            />
            {refusal && (
              <Alert color="orange" role="alert">
                {refusal}
              </Alert>
            )}
            <Group justify="flex-end">
              <Button variant="default" onClick={() => setAsking(false)}>
                {text.cancel}
              </Button>
              <Button type="submit" loading={busy} disabled={reason.trim().length < 2}>
                {text.open_confirm}
              </Button>
            </Group>
          </Stack>
        </form>
      </Dialog>
    </Stack>
  );
}
