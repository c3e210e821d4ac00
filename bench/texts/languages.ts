/** The languages of a shop's customers, each with its share, and what they say. Those without spaces are made of phrases. */

/** How a language's texts are made where they are not drawn from the corpus. */
export type Language = {
  readonly name: string;
  /** Share of customers, all together 1. */
  readonly share: number;
  readonly join: string;
  /** Words or phrases, commonest first. Empty for English, which has a corpus. */
  readonly words: readonly string[];
};

const words = (text: string): string[] => text.split(' ');

/** Shares are an assumption: a shop in the United States that sells abroad as well. */
export const LANGUAGES: readonly Language[] = [
  { name: 'English', share: 0.72, join: ' ', words: [] },
  {
    name: 'Spanish',
    share: 0.13,
    join: ' ',
    words: words(
      'de mi el pedido que la no por favor gracias cuándo llega hola es en un paquete está para con lo mañana hoy dirección puedo cambiar talla devolución reembolso tienda envío número código todavía recibí necesito ayuda quiero cancelar número señora años también así después dinero zapatos camisa azul',
    ),
  },
  {
    name: 'Portuguese',
    share: 0.03,
    join: ' ',
    words: words(
      'o meu pedido de que não a por favor obrigado quando chega olá em um pacote está para com amanhã hoje endereço posso trocar tamanho devolução reembolso loja envio número código ainda recebi preciso ajuda quero cancelar também depois dinheiro sapatos camisa azul informação',
    ),
  },
  {
    name: 'French',
    share: 0.03,
    join: ' ',
    words: words(
      'de ma commande le la est pas je que bonjour merci quand arrive pour colis un demain adresse changer taille retour remboursement boutique livraison numéro code encore reçu besoin aide voudrais annuler été très après déjà chaussures chemise bleue où ça à être',
    ),
  },
  {
    name: 'German',
    share: 0.03,
    join: ' ',
    words: words(
      'meine Bestellung die ist nicht ich das bitte danke wann kommt Hallo für Paket ein morgen Adresse ändern Größe Rücksendung Erstattung Geschäft Lieferung Nummer noch erhalten brauche Hilfe möchte stornieren auch später schon Schuhe Hemd blau wo über können Straße',
    ),
  },
  {
    name: 'Chinese',
    share: 0.03,
    join: '',
    words: words(
      '我的订单 什么时候 到了吗? 谢谢, 请问 可以 退货 退款 吗? 还没有 收到 包裹 地址 改一下 尺码 太小了。 明天 今天 发货 快递 号码 帮我 查一下 取消 订单号 是多少 您好, 客服 付款 成功 蓝色 衬衫 鞋子 有货 优惠 码',
    ),
  },
  {
    name: 'Japanese',
    share: 0.015,
    join: '',
    words: words(
      '注文した 商品が まだ 届いて いません。 いつ 届きますか? ありがとう ございます。 返品 したいのですが、 返金は サイズを 変更 できますか? 住所を 間違えました。 明日 今日 発送 番号を 教えて ください。 キャンセル お願いします。 よろしく 靴 シャツ 青い 在庫は ありますか?',
    ),
  },
  {
    name: 'Arabic',
    share: 0.015,
    join: ' ',
    words: words(
      'طلبي متى يصل شكرا من فضلك مرحبا لم أستلم الطرد العنوان تغيير المقاس إرجاع استرداد المبلغ المتجر الشحن رقم رمز بعد أحتاج مساعدة أريد إلغاء غدا اليوم حذاء قميص أزرق هل يوجد في على',
    ),
  },
];

/** Share of texts that carry an emoji. */
export const EMOJI_SHARE = 0.09;
export const EMOJI = words('😊 👍 ❤️ 😂 🙏 😭 🎉 📦 👟 🔥 👩🏽‍💻 🇺🇸 😡 💯 ✨');

/** What customers and shop say of orders: woven into English texts, since the corpus is of friends rather than of shops. */
export const CUSTOMER_SAYS = [
  'where is my order',
  'the order has not arrived',
  'can I return the shoes',
  'your refund',
  'I want a refund please',
  'delivery please',
  'wrong size in the package',
  'when is delivery',
  'thanks for the order',
  'is the store open today',
  'change my address please',
  'please cancel the order',
] as const;
export const SHOP_SAYS = [
  'Hi! Your order has shipped and will arrive tomorrow.',
  'Your order is on its way. Track it in the app.',
  'Your refund has been sent to your card.',
  'Thanks for your order! Reply STOP to opt out.',
  'Your package was delivered today.',
  'We can change the delivery address for you.',
  'Sorry about that! Please return the package in its box.',
  'Today only: 20% off your next order with code SAVE20. Reply STOP to opt out.',
  'Your delivery is delayed by a day, sorry!',
  'How was your order? Tell us in a reply.',
] as const;
