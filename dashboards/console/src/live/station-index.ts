/** The names and places of all stations; read again when the states belong to another version of it. */
import { useQuery } from '@tanstack/react-query';
import { useEffect } from 'react';
import { api } from '../api.ts';
import { useLive } from './live.tsx';

/** `fits`: the states may be shown with this index; else the one that fits is under way. */
export function useStationIndex() {
  const { version } = useLive();
  const index = useQuery({
    queryKey: ['index'],
    queryFn: ({ signal }) => api.stationIndex(signal),
    staleTime: Infinity,
  });
  const read = index.data?.version;
  const fits = read !== undefined && version === read;
  const { refetch } = index;
  useEffect(() => {
    if (version !== null && read !== undefined && version !== read) void refetch();
  }, [version, read, refetch]);
  return { index, fits };
}
