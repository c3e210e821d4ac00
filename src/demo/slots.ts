/** What stands in the slots of conversations, in the words of the customer's country, so that no sentence changes its language halfway. */
import type { Country } from './conversations.ts';

type Slots = Readonly<Record<string, readonly string[]>>;

const ENGLISH: Slots = {
  garment: ['linen shirt', 'wool jumper', 'rain jacket', 'corduroy skirt'],
  dish: ['stoneware bowl', 'tea pot', 'blue mug', 'serving plate'],
  size: ['S', 'M', '38', '40'],
  size2: ['L', 'XL', '42', '44'],
  carrier: ['UPS', 'FedEx', 'USPS'],
  day: ['today', 'tomorrow', 'on Friday', 'by Monday'],
  past: ['yesterday', 'on Tuesday', 'last Friday', 'two days ago'],
  amount: ['$48.00', '$129.00', '$23.50'],
};

const BY_COUNTRY: Readonly<Partial<Record<Country, Slots>>> = {
  GB: { carrier: ['Royal Mail', 'DPD', 'Evri'], amount: ['£52.50', '£38.00', '£110.00'] },
  DE: {
    carrier: ['DHL', 'Hermes', 'DPD'],
    day: ['heute', 'morgen', 'am Freitag', 'bis Montag'],
    amount: ['39,90 €', '120,00 €', '64,50 €'],
  },
  FR: {
    dish: ['bol en grès', 'plat à four', 'saladier bleu'],
    carrier: ['Colissimo', 'Chronopost'],
    day: ['demain', 'vendredi', 'lundi prochain'],
    amount: ['39,90 €', '75,00 €'],
  },
  ES: {
    garment: ['vestido de lino', 'jersey de lana', 'chubasquero'],
    carrier: ['Correos', 'SEUR'],
    amount: ['39,90 €', '75,00 €'],
  },
  IT: { carrier: ['BRT', 'Poste Italiane'], day: ['domani', 'venerdì', 'lunedì'], amount: ['39,90 €', '75,00 €'] },
  NL: {
    dish: ['theepot', 'blauwe mok', 'aardewerken kom'],
    carrier: ['PostNL', 'DHL'],
    day: ['vandaag', 'morgen', 'vrijdag'],
    amount: ['€ 39,90', '€ 75,00'],
  },
  PL: {
    garment: ['lnianą koszulę', 'wełniany sweter', 'kurtkę przeciwdeszczową'],
    carrier: ['InPost', 'Poczta Polska'],
    amount: ['189,00 zł', '249,99 zł'],
  },
  SE: {
    garment: ['linneskjortan', 'ulltröjan', 'regnjackan'],
    carrier: ['PostNord', 'DB Schenker'],
    day: ['idag', 'imorgon', 'på fredag'],
    amount: ['499 kr', '1 250 kr'],
  },
  JP: { amount: ['4,800円', '12,000円'] },
  CN: { amount: ['268元', '499元'] },
  AE: { amount: ['149 د.إ', '320 د.إ'] },
  IL: { amount: ['189 ₪', '349 ₪'] },
  TR: { amount: ['899 TL', '1.450 TL'] },
};

/** The slots of a country. */
export function slotsOf(country: Country): Slots {
  return { ...ENGLISH, ...BY_COUNTRY[country] };
}
