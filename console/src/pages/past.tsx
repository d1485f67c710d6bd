// What was in force before, and the way back to it.

import { useEffect, useState } from "preact/hooks";
import { ask } from "../api.ts";
import type { Compared, Past as Revision } from "../editor.ts";
import { useAnswer } from "../load.ts";
import { Act } from "../parts/act.tsx";
import { State } from "../parts/mark.tsx";
import { Answer, Empty, Panel } from "../parts/panel.tsx";
import { Table } from "../parts/table.tsx";
import { moment } from "../words.ts";
import { Comparison, Review } from "./comparison.tsx";

export function Past({ revision, onRolledBack }: { revision: string; onRolledBack: () => void }) {
  const answer = useAnswer<{ history: Revision[] }>("admin/config/history");
  const [compared, setCompared] = useState<Compared | null>(null);
  useEffect(() => {
    answer.again();
    // It was compared with what is in force no more.
    setCompared(null);
  }, [revision]);
  return (
    <Panel title="History">
      <Answer of={answer}>
        {({ history }) =>
          history.length === 0 ? (
            <Empty>Nothing else was in force since the start.</Empty>
          ) : (
            <Table name="What was in force" heads={["Since", "Revision", "By", "What to do"]}>
              {[...history].reverse().map((past, at) => (
                <tr key={`${past.revision} ${at}`}>
                  <td>{moment(past.at)}</td>
                  <th scope="row">
                    <code>{past.revision}</code> {past.is_current && <State word="ok" say="in force" />}
                  </th>
                  <td>{past.by}</td>
                  <td>
                    {past.revision !== revision && (
                      <span class="buttons">
                        <Act
                          label="Compare"
                          name={`Compare ${past.revision}`}
                          act={async () => {
                            setCompared(await ask<Compared>("POST", "admin/config/diff", { text: past.text }));
                            return "";
                          }}
                        />
                        <Act
                          label="Roll back"
                          name={`Roll back to ${past.revision}`}
                          kind="danger"
                          broad
                          confirm={
                            <>
                              <p>The file is written as it was at {moment(past.at)}, and put in force.</p>
                              <Review text={past.text} revision={revision} />
                            </>
                          }
                          act={async () => {
                            await ask("POST", "admin/config/rollback", { body: { revision: past.revision }, headers: { "if-match": `"${revision}"` } });
                            return `Revision ${past.revision} is in force again.`;
                          }}
                          after={() => {
                            answer.again();
                            onRolledBack();
                          }}
                        />
                      </span>
                    )}
                  </td>
                </tr>
              ))}
            </Table>
          )
        }
      </Answer>
      {compared !== null && <Comparison of={compared} />}
    </Panel>
  );
}
