// What may be asked of the model that finds cells, folded away: most slides need none of it.
import type { ComponentChildren } from "preact";
import type { Choices, Model } from "../types";
import {
  askedOf,
  CHANNELS,
  chosenWords,
  defaultOf,
  FLAGS,
  NORMALIZATIONS,
  NUMBERS,
  type NumberName,
  names,
  takes,
} from "./choices";

export function Segmentation({ model, first }: { model: Model; first: Choices }) {
  const channels = model.defaults.channels;
  const before = askedOf(first, model);
  return (
    <details class="segmentation" open={chosenWords(before) !== ""}>
      <summary>Segmentation</summary>
      <p class="tiny">What you leave empty is as {model.name} has it; what it takes no notice of is not offered.</p>
      <div class="fields">
        {names(NUMBERS)
          .filter((name) => takes(model, name))
          .map((name) => (
            <NumberField key={name} name={name} model={model} value={before[name]} />
          ))}
        {takes(model, "normalize") && (
          <Field id="normalize" label="Dark and bright" says="Of the whole slide, of each image, or as it is.">
            <select id="normalize" class="field" name="normalize">
              {NORMALIZATIONS.map((one) => (
                <option key={one} selected={one === (before.normalize ?? model.defaults.normalize)}>
                  {one}
                </option>
              ))}
            </select>
          </Field>
        )}
        {Array.isArray(channels) &&
          channels.map((own, n) => (
            <Field key={n} id={`channel-${n}`} label={`Channel ${n + 1}`} says="What the network sees there.">
              <select id={`channel-${n}`} class="field" name="channels">
                {CHANNELS.map((one) => (
                  <option key={one} value={one} selected={one === (before.channels?.[n] ?? own)}>
                    {one.replace("_", " ")}
                  </option>
                ))}
              </select>
            </Field>
          ))}
      </div>
      {names(FLAGS)
        .filter((name) => takes(model, name))
        .map((name) => (
          <label key={name} class="flag">
            <input type="checkbox" name={name} defaultChecked={before[name] ?? false} />
            <span>
              {FLAGS[name].label} <span class="tiny">{FLAGS[name].says}</span>
            </span>
          </label>
        ))}
    </details>
  );
}

function NumberField({ name, model, value }: { name: NumberName; model: Model; value: unknown }) {
  const { label, says } = NUMBERS[name];
  const unit = "unit" in NUMBERS[name] ? NUMBERS[name].unit : null;
  return (
    <Field id={name} label={unit ? `${label}, ${unit}` : label} says={says}>
      <input
        id={name}
        class="field"
        name={name}
        type="number"
        step={name === "niter" ? 1 : "any"}
        placeholder={defaultOf(model, name)}
        defaultValue={typeof value === "number" ? String(value) : ""}
      />
    </Field>
  );
}

interface FieldProps {
  id: string;
  label: string;
  says: string;
  children: ComponentChildren;
}

function Field({ id, label, says, children }: FieldProps) {
  return (
    <div class="choice">
      <label for={id}>{label}</label>
      {children}
      <span class="tiny">{says}</span>
    </div>
  );
}
