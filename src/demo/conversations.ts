/**
 * What people write to a shop and what it answers, as data. `c` is the customer, `s` the shop; slots in braces are filled in from slots.ts.
 */

/** One line of a conversation. */
export type Line = readonly ['c' | 's', string, ('image' | 'pdf')?];

/** A conversation and the country its customer is in. */
export type Conversation = {
  readonly country: Country;
  readonly lines: readonly Line[];
  readonly channel?: 'whatsapp' | 'rcs';
};

/** Countries of the demo's customers; numbers come from ranges that regulators reserve for fiction, or that cannot be given out. */
export type Country = 'US' | 'GB' | 'DE' | 'FR' | 'ES' | 'IT' | 'NL' | 'PL' | 'SE' | 'JP' | 'CN' | 'AE' | 'IL' | 'TR';

export const CONVERSATIONS: readonly Conversation[] = [
  {
    country: 'US',
    lines: [
      ['s', 'Lindgren & Daughters: order {order} is confirmed. We will text you when it ships. Reply STOP to opt out.'],
      ['s', 'Order {order} has left our warehouse with {carrier}: https://track.example/{order}'],
      ['c', 'Yay thank you!! 🎉'],
      ['s', 'Order {order} was delivered today. Enjoy!'],
    ],
  },
  {
    country: 'US',
    lines: [
      ['c', 'Hi, where is my order {order}? It was supposed to be here {past}'],
      ['s', 'Hi {name}, sorry about that! {carrier} says it will be with you {day}.'],
      ['c', 'ok thanks'],
      ['c', 'got it 👍'],
    ],
  },
  {
    country: 'US',
    lines: [
      ['c', 'the {dish} i got has a chip on the rim, see photo', 'image'],
      ['s', 'Oh no, sorry {name}! We will send a new one today, no need to return it.'],
      ['c', 'wow thats fast. thank you'],
    ],
  },
  {
    country: 'US',
    lines: [
      ['c', 'Can I change the size on {order} from {size} to {size2}?'],
      ['s', 'Done! {order} is now a {size2}.'],
      ['c', 'perfect'],
    ],
  },
  {
    country: 'US',
    lines: [
      [
        's',
        'Spring sale at Lindgren & Daughters: 20% off all linen this week. https://ld.example/spring Reply STOP to opt out.',
      ],
      ['c', 'STOP'],
    ],
  },
  {
    country: 'US',
    lines: [
      ['c', 'please charge my card again, 4111 1111 1111 1111 exp 12/27 cvv 737'],
      ['s', 'Please never send card details by text, {name}. Here is a safe link: https://pay.example/{order}'],
    ],
  },
  {
    country: 'US',
    channel: 'rcs',
    lines: [
      ['s', 'Your return label for {order} is ready. Drop it at any {carrier} point.', 'pdf'],
      ['c', 'When do I get my refund?'],
      ['s', 'Within 3 days after it reaches us: {amount} to your card.'],
    ],
  },
  {
    country: 'US',
    lines: [
      ['c', 'Do you have the {garment} in blue?'],
      ['s', 'We do, two left. Shall I put one aside?'],
      ['c', 'yes please!! 💙'],
    ],
  },
  {
    country: 'GB',
    lines: [
      ['c', 'Hiya, is the {garment} coming back in stock in a {size}?'],
      ['s', 'Hello {name}, yes, {day}. Want a text when it does?'],
      ['c', 'Brilliant, cheers'],
    ],
  },
  {
    country: 'GB',
    lines: [
      ['s', 'Your parcel {order} could not be delivered. Pick a new day: https://track.example/{order}'],
      ['c', 'I was in all day! Nobody rang'],
      ['s', 'So sorry, {name}. We have asked {carrier} to come again {day} and refunded the postage.'],
      ['c', 'Thank you, appreciated'],
    ],
  },
  {
    country: 'GB',
    channel: 'whatsapp',
    lines: [
      ['c', 'Which of these would suit a wedding?', 'image'],
      ['s', 'The left one, without a doubt. In ivory it is {amount}.'],
      ['c', 'Ordered! 🥂'],
    ],
  },
  {
    country: 'DE',
    channel: 'whatsapp',
    lines: [
      ['c', 'Hallo, wann kommt meine Bestellung {order}?'],
      ['s', 'Hallo {name}, sie ist unterwegs und kommt voraussichtlich {day} mit {carrier}.'],
      ['c', 'Super, danke schön!'],
    ],
  },
  {
    country: 'DE',
    lines: [
      ['c', 'Die Größe {size} ist zu klein. Kann ich gegen {size2} tauschen?'],
      ['s', 'Natürlich. Das Rücksendeetikett zu {order} ist unterwegs.'],
      ['c', 'Vielen Dank für die schnelle Antwort 😊'],
    ],
  },
  {
    country: 'DE',
    lines: [
      ['s', 'Ihre Rechnung zu {order} über {amount}: https://ld.example/r/{order}'],
      ['c', 'Bitte die Rechnung auf die Firma ausstellen'],
      ['s', 'Gern, die neue Rechnung ist unterwegs.'],
    ],
  },
  {
    country: 'DE',
    lines: [
      ['c', 'Ich widerrufe meine Bestellung {order}.'],
      ['s', 'Ihr Widerruf ist eingegangen. Wir erstatten {amount}, sobald die Ware bei uns ist.'],
    ],
  },
  {
    country: 'FR',
    channel: 'whatsapp',
    lines: [
      ['c', 'Bonjour, où en est ma commande {order} ?'],
      ['s', 'Bonjour {name}, elle est partie hier avec {carrier}, livraison prévue {day}.'],
      ['c', 'Parfait, merci beaucoup !'],
    ],
  },
  {
    country: 'FR',
    lines: [
      ['c', 'Le {dish} est arrivé cassé, voici une photo', 'image'],
      ['s', 'Nous sommes désolés. Un nouveau part aujourd’hui, et vous gardez l’autre.'],
      ['c', 'Très gentil, merci'],
    ],
  },
  {
    country: 'FR',
    lines: [
      ['s', 'Soldes d’été : -30 % sur le lin. STOP au 36111'],
      ['c', 'STOP'],
    ],
  },
  {
    country: 'ES',
    channel: 'whatsapp',
    lines: [
      ['c', 'Hola, ¿tenéis el {garment} en la talla {size}?'],
      ['s', 'Hola {name}, sí, nos quedan tres. ¿Te guardo uno?'],
      ['c', '¡Sí, por favor! 🙏'],
    ],
  },
  {
    country: 'ES',
    lines: [
      ['c', 'Quiero devolver el pedido {order}'],
      ['s', 'Claro. Te hemos enviado la etiqueta. El reembolso de {amount} llega en 3 días.'],
      ['c', 'Gracias'],
    ],
  },
  {
    country: 'IT',
    channel: 'whatsapp',
    lines: [
      ['c', 'Buongiorno, il mio ordine {order} non è ancora arrivato'],
      ['s', 'Buongiorno {name}, il corriere {carrier} lo consegna {day}.'],
      ['c', 'Grazie mille, perfetto'],
    ],
  },
  {
    country: 'IT',
    lines: [
      ['c', 'È possibile cambiare la misura da {size} a {size2}?'],
      ['s', 'Certo, fatto! Le mandiamo la conferma.'],
    ],
  },
  {
    country: 'NL',
    lines: [
      ['c', 'Hoi, kan ik {order} ook ophalen in de winkel?'],
      ['s', 'Dat kan {day} vanaf 10 uur. Neem je bestelnummer mee.'],
      ['c', 'Top, tot dan!'],
    ],
  },
  {
    country: 'NL',
    channel: 'whatsapp',
    lines: [
      ['c', 'De {dish} is prachtig, dank jullie wel ❤️', 'image'],
      ['s', 'Wat fijn om te horen, {name}!'],
    ],
  },
  {
    country: 'PL',
    lines: [
      ['c', 'Dzień dobry, kiedy dotrze zamówienie {order}?'],
      ['s', 'Dzień dobry, paczka będzie u Pani jutro. Przewoźnik: {carrier}.'],
      ['c', 'Dziękuję!'],
    ],
  },
  {
    country: 'PL',
    lines: [
      ['c', 'Chciałabym zwrócić {garment}, za mały rozmiar {size}'],
      ['s', 'Oczywiście. Etykieta zwrotna została wysłana.'],
    ],
  },
  {
    country: 'SE',
    lines: [
      ['c', 'Hej! Går det att byta {garment} mot storlek {size2}?'],
      ['s', 'Absolut, vi skickar en ny idag.'],
      ['c', 'Tack så mycket!'],
    ],
  },
  {
    country: 'SE',
    lines: [
      ['s', 'Din order {order} är packad och skickas {day} med {carrier}.'],
      ['c', 'Toppen 👌'],
    ],
  },
  {
    country: 'JP',
    channel: 'whatsapp',
    lines: [
      ['c', 'すみません、注文{order}はいつ届きますか？'],
      ['s', 'お問い合わせありがとうございます。明日お届けの予定です。'],
      ['c', 'ありがとうございます😊'],
    ],
  },
  {
    country: 'JP',
    lines: [
      ['c', 'サイズ{size}から{size2}に変更できますか'],
      ['s', 'はい、変更いたしました。'],
    ],
  },
  {
    country: 'CN',
    channel: 'whatsapp',
    lines: [
      ['c', '你好，我的订单{order}什么时候发货？'],
      ['s', '您好，今天下午发货，预计后天送达。'],
      ['c', '好的，谢谢！'],
    ],
  },
  {
    country: 'CN',
    lines: [
      ['c', '可以退款吗？尺码不合适'],
      ['s', '可以，退款{amount}三天内到账。'],
    ],
  },
  {
    country: 'AE',
    channel: 'whatsapp',
    lines: [
      ['c', 'مرحبا، أين طلبي رقم {order}؟'],
      ['s', 'أهلا، الطلب في الطريق وسيصل غدا.'],
      ['c', 'شكرا جزيلا'],
    ],
  },
  {
    country: 'AE',
    lines: [
      ['c', 'هل يمكنني إرجاع المنتج؟'],
      ['s', 'نعم، خلال 14 يوما.'],
    ],
  },
  {
    country: 'IL',
    channel: 'whatsapp',
    lines: [
      ['c', 'שלום, מתי תגיע ההזמנה {order}?'],
      ['s', 'שלום, המשלוח בדרך ויגיע מחר.'],
      ['c', 'תודה רבה!'],
    ],
  },
  {
    country: 'TR',
    lines: [
      ['c', 'Merhaba, {order} numaralı siparişim nerede?'],
      ['s', 'Merhaba {name}, kargonuz yarın teslim edilecek.'],
      ['c', 'Teşekkürler, iyi günler'],
    ],
  },
  {
    country: 'TR',
    lines: [
      ['c', 'Bu ürün {size2} beden var mı?'],
      ['s', 'Evet, son iki adet kaldı.'],
      ['c', 'Hemen alıyorum 😍'],
    ],
  },
  {
    country: 'US',
    lines: [['s', 'Your one-time code for Lindgren & Daughters is 482913. It is valid for 10 minutes.']],
  },
  {
    country: 'US',
    lines: [
      ['c', 'I never got my refund for {order}. If this is not sorted {day} I will dispute it with my bank'],
      ['s', 'Understood, {name}. {amount} went back to your card today; banks take up to 5 days to show it.'],
      ['c', 'ok I see it now, thanks for sorting it'],
    ],
  },
  {
    country: 'GB',
    lines: [
      ['c', 'Could you leave it with the neighbour at no. 12?'],
      ['s', 'Noted for {order}!'],
    ],
  },
  {
    country: 'US',
    channel: 'whatsapp',
    lines: [
      ['c', 'is the {dish} dishwasher safe'],
      ['s', 'Yes, top rack only please.'],
      ['c', 'k'],
    ],
  },
];

export const NAMES: Readonly<Record<Country, readonly string[]>> = {
  US: ['Emma', 'Noah', 'Ava', 'Liam', 'Mia'],
  GB: ['Olivia', 'George', 'Isla'],
  DE: ['Jürgen', 'Anke', 'Lena'],
  FR: ['Chloé', 'Léa', 'Hugo'],
  ES: ['Lucía', 'Íñigo', 'Sofía'],
  IT: ['Giulia', 'Luca'],
  NL: ['Sanne', 'Daan'],
  PL: ['Zofia', 'Łukasz'],
  SE: ['Åsa', 'Björn'],
  JP: ['佐藤', '鈴木'],
  CN: ['王芳', '李伟'],
  AE: ['فاطمة', 'عمر'],
  IL: ['נועה', 'איתן'],
  TR: ['Ayşe', 'Çağrı'],
};

/** Numbers that belong to nobody: ranges for fiction where a country has them (+1 555-01xx, +44 7700 900xxx), else numbers too short or unassigned. */
export const NUMBERS: Readonly<Record<Country, string>> = {
  US: '+121255501',
  GB: '+4477009001',
  DE: '+4915200000',
  FR: '+3363998010',
  ES: '+3470000001',
  IT: '+3932000001',
  NL: '+3169000001',
  PL: '+4845000001',
  SE: '+4670174060',
  JP: '+8180000001',
  CN: '+8610000001',
  AE: '+97150000001',
  IL: '+97255000001',
  TR: '+9050000001',
};
